// Whether a report is the one that was asked for. Nothing is verified here: that is for whoever gets the evidence.

import type { HardwareEvidence } from "../../attestation/evidence.ts";
import { readNitroDocument } from "../../attestation/nitro-document.ts";
import { readQuote } from "../../attestation/quote.ts";
import { readSevSnpReport } from "../../attestation/sev-snp-report.ts";
import { readSgxReport } from "../../attestation/sgx-report.ts";
import { readTdReport } from "../../attestation/td-report.ts";
import { equal } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";

function reportDataOf(evidence: HardwareEvidence): Uint8Array {
  switch (evidence.tee) {
    case "sev-snp":
      return readSevSnpReport(new Uint8Array(evidence.report)).reportData;
    case "nitro":
      return readNitroDocument(new Uint8Array(evidence.document)).userData;
    case "tdx":
    case "sgx": {
      const { tee, body } = readQuote(new Uint8Array(evidence.quote));
      if (tee !== evidence.tee) throw new QflareError("evidence.malformed", `expected a quote of ${evidence.tee}`);
      return tee === "sgx" ? readSgxReport(body).reportData : readTdReport(body).reportData;
    }
  }
}

/**
 * Throws evidence.failed for bytes that are no report, as drivers give with success when the firmware refused, and for
 * the report of another request.
 */
export function requireOwn<E extends HardwareEvidence>(evidence: E, reportData: Uint8Array): E {
  let bound: Uint8Array;
  try {
    bound = reportDataOf(evidence);
  } catch (cause) {
    if (!(cause instanceof QflareError)) throw cause;
    throw new QflareError("evidence.failed", `expected a report of ${evidence.tee} (${cause.message})`, { cause });
  }
  if (!equal(bound, reportData)) throw new QflareError("evidence.failed", "expected its own report data in the report");
  return evidence;
}

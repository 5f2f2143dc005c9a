// Evidence without hardware: proves that one key holder made all of it, and nothing about where that holder runs.

import { toHex } from "../core/bytes.ts";
import { sha512 } from "../crypto/hash.ts";
import type { Claims } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { readSimulatedEvidence } from "./simulated.ts";

/** undefined, with a finding, where the signature does not hold. Throws message.malformed. */
export function collectSimulated(document: Uint8Array, nowMs: number, findings: Findings): Claims | undefined {
  const report = readSimulatedEvidence(document);
  findings.require(report !== undefined, "its signature does not hold");
  if (report === undefined) return undefined;
  findings.require(report.not_before <= nowMs, "it is not valid yet");
  findings.require(nowMs <= report.not_after, "it has expired");
  const measurement = toHex(report.code_digest);
  const signer = toHex(sha512(report.signature_public_key));
  return {
    tee: "simulated",
    measurement,
    measurements: { code_log_entry: measurement, isolation: report.isolation, signer },
    reportData: toHex(report.report_data),
    debug: false,
    tcb: {},
    isMigratable: false,
    isRevocationChecked: false,
    issuedMs: report.not_before,
  };
}

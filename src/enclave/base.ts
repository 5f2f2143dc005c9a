// The model that a round starts from: what the enclave signs as one, and the report that was signed with it.

import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { type ModelStatement, splitModel } from "../wire/model.ts";
import { type Report, reportMessage } from "../wire/report.ts";

/** Stands where there is nothing to take a digest of. */
export const NO_DIGEST = new Uint8Array(32);

export function requireUsable(file: Uint8Array, count: number): void {
  const { parameters } = splitModel(file);
  if (parameters.length !== count) {
    throw new QflareError("model.malformed", `expected ${count} parameters, got ${parameters.length}`);
  }
  if (!parameters.every(Number.isFinite)) {
    throw new QflareError("model.malformed", "expected parameters that are finite");
  }
}

/** The report that was signed with the model: a server can neither change it nor keep it back. */
export function lastReport(report: Uint8Array | null, statement: ModelStatement): Report | undefined {
  const digest = report === null ? NO_DIGEST : sha256(report);
  if (!equal(digest, statement.report_digest)) {
    throw new QflareError("model.signature", "its report is another one than was signed");
  }
  return report === null ? undefined : reportMessage.decode(report);
}

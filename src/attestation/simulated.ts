// Evidence of type "simulated": the enclave's own ML-DSA key signs what a hardware quote would carry. It proves that
// one key holder made all fields together and freshly, and nothing about where that holder runs. It says so in its
// type, is never parsed as a real one, and a device refuses it unless its policy allows simulation by name.

import { bytes, message, type Of, oneOf, uint } from "../core/shape.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { ISOLATION_LEVELS } from "../isolation/level.ts";

const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];
export const EVIDENCE_CONTEXT = "qflare/v1 simulated evidence";
const REPORT_DATA_BYTES = 64;

/** code_digest: SHA-256 of the enclave's program, in place of a measurement. */
export const simulatedReport = message("simulated report", 4096, {
  tee: oneOf("simulated"),
  isolation: oneOf(...ISOLATION_LEVELS),
  code_digest: bytes(32),
  signature_public_key: bytes(MLDSA.publicKey),
  not_before: uint(),
  not_after: uint(),
  report_data: bytes(REPORT_DATA_BYTES),
});

export const simulatedEvidence = message("simulated evidence", 8192, {
  report: bytes(1, simulatedReport.bytesMax),
  signature: bytes(MLDSA.signature),
});

export type SimulatedReport = Of<typeof simulatedReport.shape>;

/** signatureSecretKey: of the key that the report names. */
export function makeSimulatedEvidence(
  report: SimulatedReport,
  signatureSecretKey: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const encoded = simulatedReport.encode(report);
  const signed = signature("ML-DSA-44").sign(signatureSecretKey, encoded, EVIDENCE_CONTEXT);
  return simulatedEvidence.encode({ report: encoded, signature: signed });
}

/** undefined where the signature does not hold. Throws message.malformed for what is not evidence. */
export function readSimulatedEvidence(document: Uint8Array): SimulatedReport | undefined {
  const outer = simulatedEvidence.decode(document);
  const report = simulatedReport.decode(outer.report);
  const scheme = signature("ML-DSA-44");
  return scheme.verify(report.signature_public_key, outer.report, outer.signature, EVIDENCE_CONTEXT)
    ? report
    : undefined;
}

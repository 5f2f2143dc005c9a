// Evidence of type "simulated": the enclave's own ML-DSA key signs what a hardware quote would carry. It proves that
// one key holder made all fields together and freshly, and nothing about where that holder runs. It says so in its
// type, is never parsed as a real one, and a device refuses it unless its policy allows simulation by name.

import { equal } from "../core/bytes.ts";
import { bytes, message, type Of, oneOf, uint } from "../core/shape.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { exchangeSizes, lengthsOver, SUITES } from "../crypto/suite.ts";
import { ISOLATION_LEVELS } from "../isolation/level.ts";
import { type Binding, reportData } from "./binding.ts";

const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];
export const EVIDENCE_CONTEXT = "qflare/v1 simulated evidence";
const REPORT_DATA_BYTES = 64;
const KEM_NAMES = [...new Set(Object.values(SUITES).map((suite) => suite.update))];

export const simulatedBody = message("simulated evidence body", 32_768, {
  tee: oneOf("simulated"),
  isolation: oneOf(...ISOLATION_LEVELS),
  nonce_root: bytes(32),
  kem_suite: oneOf(...KEM_NAMES),
  kem_public_key: bytes(...lengthsOver((suite) => exchangeSizes(suite.update).publicKey)),
  signature_suite: oneOf("ML-DSA-44"),
  signature_public_key: bytes(MLDSA.publicKey),
  policy_hash: bytes(32),
  run_id: bytes(32),
  epoch: uint(1),
  not_before: uint(),
  not_after: uint(),
  code_log_entry: bytes(32),
  audit_head: bytes(32),
  report_data: bytes(REPORT_DATA_BYTES),
});

export const simulatedEvidence = message("simulated evidence", 40_960, {
  body: bytes(1, simulatedBody.bytesMax),
  signature: bytes(MLDSA.signature),
});

export type SimulatedBody = Of<typeof simulatedBody.shape>;

function bindingOf(fields: Omit<SimulatedBody, "report_data" | "isolation">): Binding {
  return {
    tee: fields.tee,
    nonceRoot: fields.nonce_root,
    kemSuite: fields.kem_suite,
    kemPublicKey: fields.kem_public_key,
    signatureSuite: fields.signature_suite,
    signaturePublicKey: fields.signature_public_key,
    policyHash: fields.policy_hash,
    runId: fields.run_id,
    epoch: fields.epoch,
    notBeforeMs: fields.not_before,
    notAfterMs: fields.not_after,
    codeLogEntry: fields.code_log_entry,
    auditHead: fields.audit_head,
  };
}

export function makeSimulatedEvidence(
  fields: Omit<SimulatedBody, "report_data">,
  signatureSecretKey: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const encoded = simulatedBody.encode({ ...fields, report_data: reportData(bindingOf(fields)) });
  const signed = signature("ML-DSA-44").sign(signatureSecretKey, encoded, EVIDENCE_CONTEXT);
  return simulatedEvidence.encode({ body: encoded, signature: signed });
}

/** undefined where the signature or the binding does not hold. Throws message.malformed for what is not evidence. */
export function readSimulatedEvidence(evidence: Uint8Array): SimulatedBody | undefined {
  const outer = simulatedEvidence.decode(evidence);
  const fields = simulatedBody.decode(outer.body);
  const scheme = signature("ML-DSA-44");
  if (!scheme.verify(fields.signature_public_key, outer.body, outer.signature, EVIDENCE_CONTEXT)) return undefined;
  return equal(reportData(bindingOf(fields)), fields.report_data) ? fields : undefined;
}

// What evidence is bound to. Every field stands in report_data, so that one quote carries the enclave's keys, policy,
// epoch and freshness, and nothing that the host chose. The fields travel beside the evidence, of whatever kind.
//
//   report_data = SHA-512( LP(label) LP(tee) LP(nonce root) LP(KEM suite) LP(SHA-512(KEM key)) LP(signature suite)
//                          LP(SHA-512(signature key)) LP(policy hash) LP(run id) LP(epoch u64) LP(not before u64)
//                          LP(not after u64) LP(code log entry) LP(audit head) )

import { lengthPrefixed, u64be, utf8 } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { bytes, message, type Of, oneOf, uint } from "../core/shape.ts";
import { sha512 } from "../crypto/hash.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { exchangeSizes, lengthsOver, SUITES } from "../crypto/suite.ts";
import { TEES } from "./evidence.ts";

export const BINDING_LABEL = "qflare/v1 enclave binding";
const KEMS = [...new Set(Object.values(SUITES).map((suite) => suite.update))];

/**
 * nonce_root: root of the hash tree over the nonces that this quote answers. code_log_entry: SHA-256 of the enclave's
 * program. audit_head: head of the enclave's chain of audit records. Times in milliseconds since 1970.
 */
export const bindingMessage = message("enclave binding", LIMITS.bindingBytesMax, {
  tee: oneOf(...TEES),
  nonce_root: bytes(32),
  kem_suite: oneOf(...KEMS),
  kem_public_key: bytes(...lengthsOver((suite) => exchangeSizes(suite.update).publicKey)),
  signature_suite: oneOf("ML-DSA-44"),
  signature_public_key: bytes(SIGNATURE_SIZES["ML-DSA-44"].publicKey),
  policy_hash: bytes(32),
  run_id: bytes(32),
  epoch: uint(1),
  not_before: uint(),
  not_after: uint(),
  code_log_entry: bytes(32),
  audit_head: bytes(32),
});

export type Binding = Of<typeof bindingMessage.shape>;

/** 64 bytes: fills report_data of SEV-SNP, TDX and SGX, and user_data of Nitro. */
export function reportData(binding: Binding): Uint8Array<ArrayBuffer> {
  return sha512(
    lengthPrefixed(
      utf8(BINDING_LABEL),
      utf8(binding.tee),
      binding.nonce_root,
      utf8(binding.kem_suite),
      sha512(binding.kem_public_key),
      utf8(binding.signature_suite),
      sha512(binding.signature_public_key),
      binding.policy_hash,
      binding.run_id,
      u64be(binding.epoch),
      u64be(binding.not_before),
      u64be(binding.not_after),
      binding.code_log_entry,
      binding.audit_head,
    ),
  );
}

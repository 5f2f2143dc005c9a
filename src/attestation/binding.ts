// What evidence is bound to. Every field stands in report_data, so that one quote carries the enclave's keys, policy,
// epoch and freshness. The host chose some of it (policy, run, the time, which nonces it passes on): report_data fixes
// what that was, and the device compares it with what it expects.
//
//   report_data = SHA-512( LP(label) LP(tee) LP(nonce root) LP(KEM suite) LP(SHA-512(KEM key)) LP(signature suite)
//                          LP(SHA-512(signature key)) LP(policy hash) LP(run id) LP(epoch u64) LP(not before u64)
//                          LP(not after u64) LP(code log entry) LP(audit head) )

import { lengthPrefixed, u64be, utf8 } from "../core/bytes.ts";
import { sha512 } from "../crypto/hash.ts";

export const BINDING_LABEL = "qflare/v1 enclave binding";

export interface Binding {
  readonly tee: string;
  /** Root of the hash tree over the nonces that this quote answers. */
  readonly nonceRoot: Uint8Array;
  readonly kemSuite: string;
  readonly kemPublicKey: Uint8Array;
  readonly signatureSuite: string;
  readonly signaturePublicKey: Uint8Array;
  readonly policyHash: Uint8Array;
  readonly runId: Uint8Array;
  readonly epoch: number;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the enclave's program. */
  readonly codeLogEntry: Uint8Array;
  /** Head of the enclave's chain of audit records. */
  readonly auditHead: Uint8Array;
}

/** 64 bytes: fills report_data of SEV-SNP, TDX and SGX, and user_data of Nitro. */
export function reportData(binding: Binding): Uint8Array<ArrayBuffer> {
  return sha512(
    lengthPrefixed(
      utf8(BINDING_LABEL),
      utf8(binding.tee),
      binding.nonceRoot,
      utf8(binding.kemSuite),
      sha512(binding.kemPublicKey),
      utf8(binding.signatureSuite),
      sha512(binding.signaturePublicKey),
      binding.policyHash,
      binding.runId,
      u64be(binding.epoch),
      u64be(binding.notBeforeMs),
      u64be(binding.notAfterMs),
      binding.codeLogEntry,
      binding.auditHead,
    ),
  );
}

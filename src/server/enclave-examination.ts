// What a server asks of an enclave on another machine before it opens a run there: fresh evidence, of the program that
// this server would start itself, about the very keys that it was given.

import { appraise } from "../attestation/appraisal.ts";
import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import type { EnclaveAnswer } from "../wire/enclave.ts";
import { policyHash, policyMessage } from "../wire/policy.ts";
import { enclaveProgram } from "./enclave-program.ts";

export interface Examined {
  readonly nowMs: number;
  readonly nonce: Uint8Array;
  /** As it was sent. */
  readonly policy: Uint8Array;
  readonly opened: Pick<EnclaveAnswer<"open">, "kem_public_key" | "signature_public_key">;
}

/** Throws evidence.refused. Devices decide for themselves whether simulated evidence is enough. */
export function requireOwnEnclave(evidence: Uint8Array, { nowMs, nonce, policy, opened }: Examined): void {
  const { ok, reasons, enclave } = appraise(evidence, {
    nowMs,
    allowSimulated: true,
    runId: policyMessage.decode(policy).run_id,
    policyHash: policyHash(policy),
    nonce,
    nonceIndex: 0,
    nonceCount: 1,
    noncePath: [],
  });
  if (!ok || enclave === undefined) throw new QflareError("evidence.refused", reasons.join("; "));
  if (!equal(enclave.code_log_entry, sha256(enclaveProgram()))) {
    throw new QflareError("evidence.refused", "it runs another program than this server's version of the enclave");
  }
  const isAboutKeys =
    equal(enclave.kem_public_key, opened.kem_public_key) &&
    equal(enclave.signature_public_key, opened.signature_public_key);
  if (!isAboutKeys) throw new QflareError("evidence.refused", "it is about other keys than the enclave has shown");
}

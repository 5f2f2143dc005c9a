// What a device checks about the enclave before it seals anything to it, once an epoch: its evidence, its policy, and
// that it is the successor of the one before.

import { appraise, type Expectation } from "../attestation/appraisal.ts";
import type { SimulatedBody } from "../attestation/simulated.ts";
import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { type Policy, policyHash, policyMessage } from "../wire/policy.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { EvidencePackage } from "../wire/work.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface TrustedEnclave {
  readonly body: SimulatedBody;
  readonly keyHash: Bytes;
  readonly policy: Policy;
  readonly policyHash: Bytes;
}

/** updatesMin: an enclave that would aggregate fewer is refused. */
export type Wanted = Pick<Expectation, "nowMs" | "allowSimulated" | "runId" | "nonce"> & {
  readonly updatesMin: number;
};

/** Throws evidence.refused: this device seals nothing for such an enclave. */
export function trustEnclave(offered: EvidencePackage, { updatesMin, ...wanted }: Wanted): TrustedEnclave {
  const policy = policyMessage.decode(offered.policy);
  const hash = policyHash(offered.policy);
  const { ok, reasons, enclave } = appraise(offered.evidence, {
    ...wanted,
    policyHash: hash,
    nonceIndex: offered.nonce_index,
    nonceCount: offered.nonce_count,
    noncePath: offered.nonce_path,
  });
  if (!ok || enclave === undefined) throw new QflareError("evidence.refused", reasons.join("; "));
  if (policy.updates_min < updatesMin) {
    throw new QflareError("evidence.refused", `it aggregates ${policy.updates_min} updates, wanted ${updatesMin}`);
  }
  return { body: enclave, keyHash: epochKeyHash(enclave.kem_public_key), policy, policyHash: hash };
}

/**
 * Epochs go forward, each has one key, and an identity ends only with its epoch: an enclave that was put back to an
 * earlier state is refused. Returns whether the identity is a new one.
 */
export function requireSuccessor(before: SimulatedBody, enclave: SimulatedBody): boolean {
  const isSameIdentity = equal(enclave.signature_public_key, before.signature_public_key);
  const isSame = isSameIdentity && equal(enclave.kem_public_key, before.kem_public_key);
  if (enclave.epoch < before.epoch || (enclave.epoch === before.epoch && !isSame)) {
    const fact = `expected epoch ${before.epoch} as it was or a later one, got another ${enclave.epoch}`;
    throw new QflareError("evidence.refused", fact);
  }
  return !isSameIdentity;
}

// Who the enclave is over an epoch. Stands in the audit log at every start of an enclave, where anybody sees two that a
// server shows as one; a device seals to none that the log does not name.

import { bytes, message, type Of, text, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";

/** tee: what stands behind its evidence. Hashes are SHA-256 of the public keys. */
export const enclaveIdentityMessage = message("enclave identity", 512, {
  v: uint(1, 1),
  tee: text(16),
  epoch: uint(1),
  kem_key_hash: bytes(32),
  signature_key_hash: bytes(32),
  policy_hash: bytes(32),
});

export type EnclaveIdentity = Of<typeof enclaveIdentityMessage.shape>;

export interface IdentityFields {
  readonly tee: string;
  readonly epoch: number;
  readonly kem_public_key: Uint8Array;
  readonly signature_public_key: Uint8Array;
  readonly policy_hash: Uint8Array;
}

export function enclaveIdentity(fields: IdentityFields): Uint8Array<ArrayBuffer> {
  const { tee, epoch, kem_public_key, signature_public_key, policy_hash } = fields;
  return enclaveIdentityMessage.encode({
    v: 1,
    tee,
    epoch,
    kem_key_hash: sha256(kem_public_key),
    signature_key_hash: sha256(signature_public_key),
    policy_hash: new Uint8Array(policy_hash),
  });
}

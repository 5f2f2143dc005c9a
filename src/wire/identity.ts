// Identity of a server: the document whose hash stands in every token. It pins the signature keys, one a scheme, and,
// where the server made its own certificate, that certificate; null leaves the certificate to the public authorities.

import { bytes, message, nullable, type Of, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { SIGNATURE_SIZES, type SignatureName } from "../crypto/signature.ts";

export const identityMessage = message("identity", 4096, {
  v: uint(1, 1),
  signature_public_key: bytes(SIGNATURE_SIZES["ML-DSA-44"].publicKey),
  longterm_public_key: bytes(SIGNATURE_SIZES["ML-DSA-65"].publicKey),
  tls_certificate_sha256: nullable(bytes(32)),
});

export type Identity = Of<typeof identityMessage.shape>;

/** The key by which the server signs for devices whose own keys are of this scheme. */
export function serverKeyOf(identity: Identity, scheme: SignatureName): Uint8Array<ArrayBuffer> {
  return scheme === "ML-DSA-65" ? identity.longterm_public_key : identity.signature_public_key;
}

export function identityFingerprint(encoded: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256(encoded);
}

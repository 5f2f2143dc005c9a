// Identity of a server: the document whose hash stands in every token. It pins the signature key and, where the server
// made its own certificate, that certificate; null leaves the certificate to the public authorities.

import { bytes, message, nullable, type Of, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";

export const identityMessage = message("identity", 4096, {
  v: uint(1, 1),
  signature_public_key: bytes(SIGNATURE_SIZES["ML-DSA-44"].publicKey),
  tls_certificate_sha256: nullable(bytes(32)),
});

export type Identity = Of<typeof identityMessage.shape>;

export function identityFingerprint(encoded: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256(encoded);
}

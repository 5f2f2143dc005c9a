// Signatures of hardware vendors, on node:crypto. They are classical: what they prove holds against today's attackers.

import { createPublicKey, verify } from "node:crypto";

export type ClassicalAlgorithm = "ECDSA-P256-SHA256" | "ECDSA-P384-SHA384" | "RSA-PSS-SHA384";

export interface ClassicalSignature {
  readonly algorithm: ClassicalAlgorithm;
  /** SubjectPublicKeyInfo (RFC 5280), DER. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly message: Uint8Array<ArrayBuffer>;
  /** ECDSA: r, then s, each as long as the field. RSA-PSS: MGF1 and salt of the hash's length. */
  readonly signature: Uint8Array<ArrayBuffer>;
}

const RSA_PSS = { padding: 6, saltLength: 48 } as const; // RSA_PKCS1_PSS_PADDING, SHA-384

/** False for anything but a valid signature; a key that cannot be read included. */
export function verifyClassical({ algorithm, publicKey, message, signature }: ClassicalSignature): boolean {
  const scheme = algorithm === "RSA-PSS-SHA384" ? RSA_PSS : ({ dsaEncoding: "ieee-p1363" } as const);
  const hash = algorithm === "ECDSA-P256-SHA256" ? "sha256" : "sha384";
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    return verify(hash, message, { key, ...scheme }, signature);
  } catch {
    return false;
  }
}

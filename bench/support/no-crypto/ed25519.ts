// In place of src/crypto/ed25519.ts, for bench/security-cost.ts: signatures of zeros, which all hold.

export const ED25519_SIZES = { publicKey: 32, secretKey: 32, signature: 64 } as const;

type Bytes = Uint8Array<ArrayBuffer>;

export interface Ed25519Signer {
  readonly publicKey: Bytes;
  sign(message: Uint8Array): Bytes;
}

export function ed25519Signer(secretKey: Uint8Array): Ed25519Signer {
  return { publicKey: new Uint8Array(secretKey), sign: () => new Uint8Array(ED25519_SIZES.signature) };
}

export function verifyEd25519(): boolean {
  return true;
}

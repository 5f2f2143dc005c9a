// ML-DSA (FIPS 204) as a platform gives it. Lengths of keys and contexts have been checked before.

export type MlDsaName = "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87";

export interface MlDsaPrimitives {
  /** A fresh key where no seed is given. seed: xi of FIPS 204 algorithm 1, 32 bytes. */
  generate(seed?: Uint8Array): { publicKey: Uint8Array<ArrayBuffer>; seed: Uint8Array<ArrayBuffer> };
  /** Hedged (FIPS 204 section 3.4). */
  sign(seed: Uint8Array, message: Uint8Array, context: Uint8Array): Uint8Array<ArrayBuffer>;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array, context: Uint8Array): boolean;
}

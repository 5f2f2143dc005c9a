// ML-KEM (FIPS 203) as a platform gives it. Lengths have been checked before. seed: d | z of section 7.1, 64 bytes.

import type { MlKemName } from "./kem.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface MlKemPrimitives {
  /** A fresh key where no seed is given. */
  generate(name: MlKemName, seed?: Uint8Array): { publicKey: Bytes; seed: Bytes };
  /**
   * undefined for a public key with a coefficient of q or more (section 7.2). randomness: m of algorithm 17, 32 bytes;
   * drawn where it is not given.
   */
  encapsulate(
    name: MlKemName,
    publicKey: Uint8Array,
    randomness?: Uint8Array,
  ): { ciphertext: Bytes; sharedSecret: Bytes } | undefined;
  /** With implicit rejection. */
  decapsulate(name: MlKemName, seed: Uint8Array, ciphertext: Uint8Array): Bytes;
}

// ML-KEM (FIPS 203) over OpenSSL. The secret key is the seed d|z: 64 bytes, of which the expanded key is a function.

import type { SyncKem } from "./kem.ts";
import { checkOwn, checkReceived, type Encapsulation, type KemKeyPair, type KemSizes, type MlKemName } from "./kem.ts";
import { type MlKemParameters, mlKemDecapsulate, mlKemEncapsulate, mlKemPublicKey, randomBytes } from "./native.ts";

const SEED_BYTES = 32 + 32; // d, z

/** k of FIPS 203 table 2, and the bits that a coefficient of u and v keeps. */
const SETS = {
  "ML-KEM-768": { parameters: "ml-kem-768", k: 3, du: 10, dv: 4 },
  "ML-KEM-1024": { parameters: "ml-kem-1024", k: 4, du: 11, dv: 5 },
} as const satisfies Record<MlKemName, { parameters: MlKemParameters; k: number; du: number; dv: number }>;

export class MlKem implements SyncKem {
  readonly name: MlKemName;
  readonly sizes: KemSizes;
  readonly #parameters: MlKemParameters;

  constructor(name: MlKemName) {
    const { parameters, k, du, dv } = SETS[name];
    this.name = name;
    this.sizes = {
      publicKey: 384 * k + 32, // 1184 or 1568
      secretKey: SEED_BYTES,
      ciphertext: 32 * (du * k + dv), // 1088 or 1568
      sharedSecret: 32,
      keygenRandomness: SEED_BYTES,
      encapsRandomness: 32,
    };
    this.#parameters = parameters;
  }

  generateKeyPair(randomness?: Uint8Array): KemKeyPair {
    if (randomness !== undefined) checkOwn(randomness, SEED_BYTES, "randomness");
    const secretKey = randomness === undefined ? randomBytes(SEED_BYTES) : new Uint8Array(randomness);
    return { publicKey: mlKemPublicKey(this.#parameters, secretKey), secretKey };
  }

  encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Encapsulation {
    if (randomness !== undefined) {
      throw new TypeError(`Cannot encapsulate: expected no randomness for ${this.name}, which draws its own`);
    }
    checkReceived(publicKey, this.sizes.publicKey, `${this.name} public key`);
    return mlKemEncapsulate(this.#parameters, publicKey);
  }

  decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> {
    checkOwn(secretKey, this.sizes.secretKey, `${this.name} secret key`);
    checkReceived(ciphertext, this.sizes.ciphertext, `${this.name} ciphertext`);
    return mlKemDecapsulate(this.#parameters, secretKey, ciphertext);
  }
}

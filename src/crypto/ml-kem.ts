// ML-KEM (FIPS 203). The secret key is the seed d|z: 64 bytes, of which the expanded key is a function.

import { QflareError } from "../core/error.ts";
import {
  checkOwn,
  checkReceived,
  type Encapsulation,
  type KemKeyPair,
  type KemSizes,
  type MlKemName,
  type SyncKem,
} from "./kem.ts";
import { kemSizes } from "./kem-sizes.ts";
import type { MlKemPrimitives } from "./ml-kem-primitives.ts";

export class MlKem implements SyncKem {
  readonly name: MlKemName;
  readonly sizes: KemSizes;
  readonly #primitives: MlKemPrimitives;

  constructor(name: MlKemName, primitives: MlKemPrimitives) {
    this.name = name;
    this.sizes = kemSizes(name);
    this.#primitives = primitives;
  }

  /** randomness: d, z. */
  generateKeyPair(randomness?: Uint8Array): KemKeyPair {
    if (randomness !== undefined) checkOwn(randomness, this.sizes.keygenRandomness, "randomness");
    const { publicKey, seed } = this.#primitives.generate(this.name, randomness);
    return { publicKey, secretKey: seed };
  }

  /** randomness: m. */
  encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Encapsulation {
    checkReceived(publicKey, this.sizes.publicKey, `${this.name} public key`);
    if (randomness !== undefined) checkOwn(randomness, this.sizes.encapsRandomness, "randomness");
    const encapsulated = this.#primitives.encapsulate(this.name, publicKey, randomness);
    if (encapsulated === undefined) throw new QflareError("kem.public_key");
    return encapsulated;
  }

  decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> {
    checkOwn(secretKey, this.sizes.secretKey, `${this.name} secret key`);
    checkReceived(ciphertext, this.sizes.ciphertext, `${this.name} ciphertext`);
    return this.#primitives.decapsulate(this.name, secretKey, ciphertext);
  }
}

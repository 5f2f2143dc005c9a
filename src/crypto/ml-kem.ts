// ML-KEM (FIPS 203) over OpenSSL. The secret key is the seed d|z: 64 bytes, of which the expanded key is a function.

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
import { type MlKemParameters, mlKemDecapsulate, mlKemEncapsulate, mlKemPublicKey, randomBytes } from "./native.ts";

const PARAMETERS: Readonly<Record<MlKemName, MlKemParameters>> = {
  "ML-KEM-768": "ml-kem-768",
  "ML-KEM-1024": "ml-kem-1024",
};

export class MlKem implements SyncKem {
  readonly name: MlKemName;
  readonly sizes: KemSizes;
  readonly #parameters: MlKemParameters;

  constructor(name: MlKemName) {
    this.name = name;
    this.sizes = kemSizes(name);
    this.#parameters = PARAMETERS[name];
  }

  generateKeyPair(randomness?: Uint8Array): KemKeyPair {
    if (randomness !== undefined) checkOwn(randomness, this.sizes.keygenRandomness, "randomness");
    const secretKey = randomness === undefined ? randomBytes(this.sizes.keygenRandomness) : new Uint8Array(randomness);
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

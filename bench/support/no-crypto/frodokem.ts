// In place of src/crypto/frodokem.ts, for bench/security-cost.ts: keys, ciphertexts and secrets of the right lengths.

import { randomBytes } from "node:crypto";
import { FRODO, frodoSizes } from "../../../src/crypto/frodo-parameters.ts";
import type { Encapsulation, FrodoName, KemKeyPair, KemSizes, SyncKem } from "../../../src/crypto/kem.ts";

const SEED_BYTES = 16;

export class FrodoKem implements SyncKem {
  readonly name: FrodoName;
  readonly sizes: KemSizes;

  constructor(name: FrodoName) {
    this.name = name;
    this.sizes = frodoSizes(FRODO[name]);
  }

  generateKeyPair(): KemKeyPair {
    const publicKey = new Uint8Array(this.sizes.publicKey);
    publicKey.set(randomBytes(SEED_BYTES));
    return { publicKey, secretKey: new Uint8Array(this.sizes.secretKey) };
  }

  encapsulate(): Encapsulation {
    return { ciphertext: new Uint8Array(this.sizes.ciphertext), sharedSecret: this.decapsulate() };
  }

  decapsulate(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.sizes.sharedSecret);
  }
}

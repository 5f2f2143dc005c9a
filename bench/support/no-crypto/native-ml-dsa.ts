// In place of src/crypto/native-ml-dsa.ts, for bench/security-cost.ts: signatures of zeros, which all hold.

import { randomBytes } from "node:crypto";
import type { MlDsaName, MlDsaPrimitives } from "../../../src/crypto/ml-dsa-primitives.ts";

type Bytes = Uint8Array<ArrayBuffer>;

// FIPS 204 table 2: public key, signature.
const BYTES = { "ML-DSA-44": [1312, 2420], "ML-DSA-65": [1952, 3309], "ML-DSA-87": [2592, 4627] } as const;
const SEED_BYTES = 32;

export class NativeMlDsa implements MlDsaPrimitives {
  readonly #publicKeyBytes: number;
  readonly #signatureBytes: number;

  constructor(name: MlDsaName) {
    [this.#publicKeyBytes, this.#signatureBytes] = BYTES[name];
  }

  generate(given: Uint8Array = randomBytes(SEED_BYTES)): { publicKey: Bytes; seed: Bytes } {
    const publicKey = new Uint8Array(this.#publicKeyBytes);
    publicKey.set(given);
    return { publicKey, seed: new Uint8Array(given) };
  }

  sign(): Bytes {
    return new Uint8Array(this.#signatureBytes);
  }

  verify(): boolean {
    return true;
  }
}

// ML-DSA over OpenSSL.

import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { concat } from "../core/bytes.ts";
import { KeyObjects, rawKey } from "./key-objects.ts";
import type { MlDsaName, MlDsaPrimitives } from "./ml-dsa-primitives.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const TYPES = {
  "ML-DSA-44": "ml-dsa-44",
  "ML-DSA-65": "ml-dsa-65",
  "ML-DSA-87": "ml-dsa-87",
} as const satisfies Record<MlDsaName, string>;

export class NativeMlDsa implements MlDsaPrimitives {
  readonly #type: (typeof TYPES)[MlDsaName];
  readonly #seeds: KeyObjects;
  readonly #publics: KeyObjects;

  constructor(name: MlDsaName) {
    this.#type = TYPES[name];
    this.#seeds = new KeyObjects(this.#type, "raw-seed");
    this.#publics = new KeyObjects(this.#type, "raw-public");
  }

  generate(given?: Uint8Array): { publicKey: Bytes; seed: Bytes } {
    if (given === undefined) {
      const pair = generateKeyPairSync(this.#type as "ml-dsa-44");
      const seed = rawKey(pair.privateKey, "raw-seed");
      this.#seeds.keep(seed, pair.privateKey);
      return { publicKey: rawKey(pair.publicKey, "raw-public"), seed };
    }
    const seed = concat(given);
    return { publicKey: rawKey(createPublicKey(this.#seeds.get(seed)), "raw-public"), seed };
  }

  sign(seed: Uint8Array, message: Uint8Array, context: Uint8Array): Bytes {
    return new Uint8Array(sign(null, message, { key: this.#seeds.get(seed), context }));
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array, context: Uint8Array): boolean {
    return verify(null, message, { key: this.#publics.get(publicKey), context }, signature);
  }
}

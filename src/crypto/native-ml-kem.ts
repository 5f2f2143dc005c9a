// ML-KEM over OpenSSL, which takes no randomness for an encapsulation: known answers come from noble.

import { createPublicKey, decapsulate, encapsulate, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createRequire } from "node:module";
import type * as Noble from "@noble/post-quantum/ml-kem.js";
import { concat, takeOver } from "../core/bytes.ts";
import type { MlKemName } from "./kem.ts";
import { KeyObjects, rawKey } from "./key-objects.ts";
import type { MlKemPrimitives } from "./ml-kem-primitives.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const TYPES = { "ML-KEM-768": "ml-kem-768", "ML-KEM-1024": "ml-kem-1024" } as const satisfies Record<MlKemName, string>;

class NativeMlKem implements MlKemPrimitives {
  readonly #secrets: Readonly<Record<MlKemName, KeyObjects>> = tables("raw-seed");
  readonly #publics: Readonly<Record<MlKemName, KeyObjects>> = tables("raw-public");

  generate(name: MlKemName, given?: Uint8Array): { publicKey: Bytes; seed: Bytes } {
    const seeds = this.#secrets[name];
    if (given === undefined) {
      // A fresh key in one call takes half the time of one from a seed.
      const pair = generateKeyPairSync(TYPES[name] as "ml-kem-768");
      const seed = rawKey(pair.privateKey, "raw-seed");
      seeds.keep(seed, pair.privateKey);
      return { publicKey: rawKey(pair.publicKey, "raw-public"), seed };
    }
    const seed = concat(given);
    return { publicKey: rawKey(createPublicKey(seeds.get(seed)), "raw-public"), seed };
  }

  encapsulate(
    name: MlKemName,
    publicKey: Uint8Array,
    randomness?: Uint8Array,
  ): { ciphertext: Bytes; sharedSecret: Bytes } | undefined {
    const key = readPublicKey(this.#publics[name], publicKey);
    if (key === undefined) return undefined;
    if (randomness !== undefined) return encapsulateFrom(name, publicKey, randomness);
    const { ciphertext, sharedKey } = encapsulate(key);
    return { ciphertext: new Uint8Array(ciphertext), sharedSecret: takeOver(sharedKey) };
  }

  decapsulate(name: MlKemName, seed: Uint8Array, ciphertext: Uint8Array): Bytes {
    return takeOver(decapsulate(this.#secrets[name].get(seed), ciphertext));
  }
}

/** Not imported: nothing but a known answer needs it, and the enclave's program has no place for it. */
function encapsulateFrom(
  name: MlKemName,
  publicKey: Uint8Array,
  randomness: Uint8Array,
): { ciphertext: Bytes; sharedSecret: Bytes } {
  const load = createRequire(import.meta.url);
  const noble = load("@noble/post-quantum/ml-kem.js") as typeof Noble;
  const scheme = { "ML-KEM-768": noble.ml_kem768, "ML-KEM-1024": noble.ml_kem1024 }[name];
  const { cipherText, sharedSecret } = scheme.encapsulate(publicKey, randomness);
  return { ciphertext: new Uint8Array(cipherText), sharedSecret: takeOver(sharedSecret) };
}

function tables(format: "raw-seed" | "raw-public"): Record<MlKemName, KeyObjects> {
  return {
    "ML-KEM-768": new KeyObjects(TYPES["ML-KEM-768"], format),
    "ML-KEM-1024": new KeyObjects(TYPES["ML-KEM-1024"], format),
  };
}

/** The modulus check of FIPS 203 section 7.2 is OpenSSL's, made when it reads the key. */
function readPublicKey(keys: KeyObjects, publicKey: Uint8Array): KeyObject | undefined {
  try {
    return keys.get(publicKey);
  } catch {
    return undefined;
  }
}

let mlKem: NativeMlKem | undefined;

export function nativeMlKem(): MlKemPrimitives {
  mlKem ??= new NativeMlKem();
  return mlKem;
}

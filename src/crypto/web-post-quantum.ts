// ML-KEM and ML-DSA by noble: plain JavaScript, about ten times slower than OpenSSL. Secret keys are expanded from
// their seed for each operation and wiped after it.
//
// noble names no constant-time promise that JavaScript could hold: on machines shared with an attacker, use Node.

import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem768, ml_kem1024 } from "@noble/post-quantum/ml-kem.js";
import { wipe } from "../core/bytes.ts";
import type { MlKemName } from "./kem.ts";
import type { MlDsaName, MlDsaPrimitives } from "./ml-dsa-primitives.ts";
import type { MlKemPrimitives } from "./ml-kem-primitives.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const ML_KEM = { "ML-KEM-768": ml_kem768, "ML-KEM-1024": ml_kem1024 } as const;
const ML_DSA = { "ML-DSA-44": ml_dsa44, "ML-DSA-65": ml_dsa65, "ML-DSA-87": ml_dsa87 } as const;

const SEED_BYTES = { mlKem: 64, mlDsa: 32 } as const;
/** m of FIPS 203 algorithm 17. */
const ENCAPSULATION_BYTES = 32;

function randomSeed(length: number): Bytes {
  return globalThis.crypto.getRandomValues(new Uint8Array(length));
}

export const WEB_ML_KEM: MlKemPrimitives = {
  generate(name, given) {
    const seed = given === undefined ? randomSeed(SEED_BYTES.mlKem) : new Uint8Array(given);
    const { publicKey, secretKey } = ML_KEM[name].keygen(seed);
    wipe(secretKey);
    return { publicKey: new Uint8Array(publicKey), seed };
  },
  encapsulate(name, publicKey, given) {
    const randomness = given === undefined ? randomSeed(ENCAPSULATION_BYTES) : new Uint8Array(given);
    const encapsulated = encapsulate(name, publicKey, randomness);
    wipe(randomness);
    if (encapsulated === undefined) return undefined;
    const { cipherText, sharedSecret } = encapsulated;
    return { ciphertext: new Uint8Array(cipherText), sharedSecret: new Uint8Array(sharedSecret) };
  },
  decapsulate(name, seed, ciphertext) {
    const { secretKey } = ML_KEM[name].keygen(seed);
    const secret = ML_KEM[name].decapsulate(ciphertext, secretKey);
    wipe(secretKey);
    return new Uint8Array(secret);
  },
};

/** noble throws for one reason where the lengths are right: the modulus check of FIPS 203 section 7.2. */
function encapsulate(
  name: MlKemName,
  publicKey: Uint8Array,
  randomness: Uint8Array,
): ReturnType<(typeof ml_kem768)["encapsulate"]> | undefined {
  try {
    return ML_KEM[name].encapsulate(publicKey, randomness);
  } catch {
    return undefined;
  }
}

export function webMlDsa(name: MlDsaName): MlDsaPrimitives {
  const scheme = ML_DSA[name];
  return {
    generate(given) {
      const seed = given === undefined ? randomSeed(SEED_BYTES.mlDsa) : new Uint8Array(given);
      const { publicKey, secretKey } = scheme.keygen(seed);
      wipe(secretKey);
      return { publicKey: new Uint8Array(publicKey), seed };
    },
    sign(seed, message, context) {
      const { secretKey } = scheme.keygen(seed);
      const signed = scheme.sign(message, secretKey, { context, extraEntropy: randomSeed(SEED_BYTES.mlDsa) });
      wipe(secretKey);
      return new Uint8Array(signed);
    },
    verify: (publicKey, message, signature, context) => scheme.verify(signature, message, publicKey, { context }),
  };
}

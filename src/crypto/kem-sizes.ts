// Sizes of every mechanism, known without starting an engine: message shapes are made of them.

import { FRODO, frodoSizes } from "./frodo-parameters.ts";
import type { FrodoName, KemName, KemSizes, MlKemName } from "./kem.ts";

// FIPS 203 table 3; the secret key is the seed d | z.
const ML_KEM: Readonly<Record<MlKemName, KemSizes>> = {
  "ML-KEM-768": mlKemSizes(3, 10, 4),
  "ML-KEM-1024": mlKemSizes(4, 11, 5),
};

/** k: rank of the module; du, dv: bits of a compressed coefficient. */
function mlKemSizes(k: number, du: number, dv: number): KemSizes {
  return Object.freeze({
    publicKey: (k * 256 * 12) / 8 + 32, // 1184 or 1568
    secretKey: 64,
    ciphertext: (256 * (du * k + dv)) / 8, // 1088 or 1568
    sharedSecret: 32,
    keygenRandomness: 64,
    encapsRandomness: 32,
  });
}

/** Frozen, as callers share it. */
export function kemSizes(name: KemName): KemSizes {
  return Object.hasOwn(ML_KEM, name) ? ML_KEM[name as MlKemName] : frodoSizes(FRODO[name as FrodoName]);
}

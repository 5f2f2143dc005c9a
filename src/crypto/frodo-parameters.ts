// FrodoKEM parameter sets (FrodoKEM specification, tables 1 to 3). The sizes derive themselves.
//
// "FrodoKEM" is the salted variant of the 2023 ISO proposal; "eFrodoKEM" is the unsalted one, equal to NIST round 3 and
// safe for fewer than 2^8 ciphertexts a key. They do not interoperate. ISO/IEC 18033-2 has 976 and 1344 only.

import type { RowGenerator, ShakeBits } from "./frodo-primitives.ts";
import type { FrodoName, KemSizes } from "./kem.ts";

export interface FrodoParameters {
  /** A is n x n; a multiple of 16. */
  readonly n: number;
  /** q = 2^D. */
  readonly D: number;
  /** Message bits in one coefficient. */
  readonly B: number;
  /** Cumulative distribution of the error's magnitude, in units of 2^-15. */
  readonly cdf: readonly number[];
  readonly shakeBits: ShakeBits;
  readonly generator: RowGenerator;
  readonly salted: boolean;
}

/** Rows of S', and columns of S. */
export const NBAR = 8;
export const SEED_A_BYTES = 16;

const FRODO_640 = {
  n: 640,
  D: 15,
  B: 2,
  cdf: [4643, 13363, 20579, 25843, 29227, 31145, 32103, 32525, 32689, 32745, 32762, 32766, 32767],
  shakeBits: 128,
} as const;

const FRODO_976 = {
  n: 976,
  D: 16,
  B: 3,
  cdf: [5638, 15915, 23689, 28571, 31116, 32217, 32613, 32731, 32760, 32766, 32767],
  shakeBits: 256,
} as const;

const FRODO_1344 = {
  n: 1344,
  D: 16,
  B: 4,
  cdf: [9142, 23462, 30338, 32361, 32725, 32765, 32767],
  shakeBits: 256,
} as const;

export const FRODO: Readonly<Record<FrodoName, FrodoParameters>> = {
  "FrodoKEM-640-AES": { ...FRODO_640, generator: "AES", salted: true },
  "FrodoKEM-976-AES": { ...FRODO_976, generator: "AES", salted: true },
  "FrodoKEM-1344-AES": { ...FRODO_1344, generator: "AES", salted: true },
  "FrodoKEM-640-SHAKE": { ...FRODO_640, generator: "SHAKE", salted: true },
  "eFrodoKEM-640-AES": { ...FRODO_640, generator: "AES", salted: false },
};

/** Bytes of the parts. */
export interface FrodoPartSizes {
  /** Of mu, s, k, pkh and the shared secret. */
  readonly message: number;
  readonly seedSE: number;
  readonly salt: number;
}

export function frodoPartSizes({ B, salted }: FrodoParameters): FrodoPartSizes {
  const message = (NBAR * NBAR * B) / 8; // 16, 24 or 32
  return { message, seedSE: salted ? 2 * message : message, salt: salted ? 2 * message : 0 };
}

/** Frozen, as callers share it. */
export function frodoSizes(parameters: FrodoParameters): KemSizes {
  const { n, D } = parameters;
  const { message, seedSE, salt } = frodoPartSizes(parameters);
  const publicKey = SEED_A_BYTES + (n * NBAR * D) / 8; // 9616, 15632 or 21520
  return Object.freeze({
    publicKey,
    secretKey: message + publicKey + 2 * n * NBAR + message, // s, public key, S transposed, pkh
    ciphertext: ((n + NBAR) * NBAR * D) / 8 + salt, // c1, c2, salt
    sharedSecret: message,
    keygenRandomness: message + seedSE + SEED_A_BYTES, // s, seedSE, z
    encapsRandomness: message + salt, // mu, salt
  });
}

// ML-DSA (FIPS 204) with context strings. A secret key is the 32-byte seed of FIPS 204 Algorithm 1.

import { utf8 } from "../core/bytes.ts";
import { checkBytes, checkText } from "./argument.ts";
import type { MlDsaName, MlDsaPrimitives } from "./ml-dsa-primitives.ts";
import { PLATFORM } from "./native-platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type SignatureName = MlDsaName;

/** Throws TypeError for bytes that are no Uint8Array and for a context that is no string. */
export interface SignatureScheme {
  readonly name: SignatureName;
  readonly sizes: SignatureSizes;
  /** Deterministic where the 32-byte seed is given. */
  generateKeyPair(seed?: Uint8Array): { publicKey: Bytes; secretKey: Bytes };
  /** Hedged. context: at most 255 bytes of UTF-8, else RangeError; each use in the protocol has one of its own. */
  sign(secretKey: Uint8Array, message: Uint8Array, context: string): Bytes;
  /** False for anything but a valid signature, wrong lengths and a context too long for any included. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array, context: string): boolean;
}

const SEED_BYTES = 32;
/** FIPS 204 algorithms 2 and 3. */
const CONTEXT_BYTES_MAX = 255;

export interface SignatureSizes {
  readonly publicKey: number;
  readonly secretKey: number;
  readonly signature: number;
}

export const SIGNATURE_SIZES: Readonly<Record<SignatureName, SignatureSizes>> = {
  "ML-DSA-44": mlDsaSizes(4, 4, 32, 18, 80), // 1312, 2420
  "ML-DSA-65": mlDsaSizes(6, 5, 48, 20, 55), // 1952, 3309
  "ML-DSA-87": mlDsaSizes(8, 7, 64, 20, 75), // 2592, 4627
};

/**
 * FIPS 204 tables 1 and 2. Public key: rho 32, then k polynomials of 256 coefficients at 10 bits. Signature: challenge,
 * then l polynomials at zBits = 1 + log2(gamma1) bits, then omega + k bytes of hints. Frozen, as callers share it.
 */
function mlDsaSizes(k: number, l: number, challengeBytes: number, zBits: number, omega: number): SignatureSizes {
  return Object.freeze({
    publicKey: 32 + (k * 256 * 10) / 8,
    secretKey: SEED_BYTES,
    signature: challengeBytes + (l * 256 * zBits) / 8 + omega + k,
  });
}

export class MlDsa implements SignatureScheme {
  readonly name: SignatureName;
  readonly sizes: SignatureSizes;
  readonly #primitives: MlDsaPrimitives;

  constructor(name: SignatureName, primitives: MlDsaPrimitives) {
    this.name = name;
    this.sizes = SIGNATURE_SIZES[name];
    this.#primitives = primitives;
    Object.freeze(this); // one for all callers
  }

  generateKeyPair(seed?: Uint8Array): { publicKey: Bytes; secretKey: Bytes } {
    if (seed !== undefined) checkSeed(seed, "seed");
    const made = this.#primitives.generate(seed);
    return { publicKey: made.publicKey, secretKey: made.seed };
  }

  sign(secretKey: Uint8Array, message: Uint8Array, context: string): Bytes {
    checkSeed(secretKey, "secret key");
    checkBytes(message, "message");
    checkText(context, "context");
    const encoded = utf8(context);
    if (encoded.length > CONTEXT_BYTES_MAX) {
      throw new RangeError(`Cannot use context: expected at most ${CONTEXT_BYTES_MAX} bytes, got ${encoded.length}`);
    }
    return this.#primitives.sign(secretKey, message, encoded);
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signed: Uint8Array, context: string): boolean {
    checkBytes(publicKey, "public key");
    checkBytes(message, "message");
    checkBytes(signed, "signature");
    checkText(context, "context");
    if (publicKey.length !== this.sizes.publicKey || signed.length !== this.sizes.signature) return false;
    const encoded = utf8(context);
    return encoded.length <= CONTEXT_BYTES_MAX && this.#primitives.verify(publicKey, message, signed, encoded);
  }
}

function checkSeed(seed: Uint8Array, what: string): void {
  checkBytes(seed, what);
  if (seed.length !== SEED_BYTES) throw new RangeError(`expected a seed of ${SEED_BYTES} bytes, got ${seed.length}`);
}

const schemes = /* @__PURE__ */ new Map<SignatureName, SignatureScheme>();

/** Throws TypeError for a name that is not offered. */
export function signature(name: SignatureName): SignatureScheme {
  if (!Object.hasOwn(SIGNATURE_SIZES, name)) throw new TypeError(`no signature scheme ${name}`);
  const scheme = schemes.get(name) ?? new MlDsa(name, PLATFORM.mlDsa(name));
  schemes.set(name, scheme);
  return scheme;
}

/** The scheme of a public key: their lengths differ. undefined where no scheme has such keys. */
export function schemeOfKey(publicKey: Uint8Array): SignatureScheme | undefined {
  const names = Object.keys(SIGNATURE_SIZES) as SignatureName[];
  const name = names.find((candidate) => SIGNATURE_SIZES[candidate].publicKey === publicKey.length);
  return name === undefined ? undefined : signature(name);
}

/** Verifies under whichever scheme the key is of; false for anything but a valid signature. */
export function verifyUnderKey(
  publicKey: Uint8Array,
  message: Uint8Array,
  signed: Uint8Array,
  context: string,
): boolean {
  return schemeOfKey(publicKey)?.verify(publicKey, message, signed, context) ?? false;
}

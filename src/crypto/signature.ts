// ML-DSA (FIPS 204) with context strings, on node:crypto. A secret key is the 32-byte seed of FIPS 204 Algorithm 1.

import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomFillSync,
  sign as signNative,
  verify as verifyNative,
} from "node:crypto";
import { concat, fromHex, ownBytes, utf8, wipe } from "../core/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type SignatureName = "ML-DSA-44";

export interface SignatureScheme {
  readonly name: SignatureName;
  readonly sizes: SignatureSizes;
  /** Deterministic where the 32-byte seed is given. */
  generateKeyPair(seed?: Uint8Array): { publicKey: Bytes; secretKey: Bytes };
  /** Hedged. context: at most 255 bytes of UTF-8; each use in the protocol has one of its own. */
  sign(secretKey: Uint8Array, message: Uint8Array, context: string): Bytes;
  /** False for anything but a valid signature, wrong lengths included. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array, context: string): boolean;
}

const SEED_BYTES = 32;

export interface SignatureSizes {
  readonly publicKey: number;
  readonly secretKey: number;
  readonly signature: number;
}

// FIPS 204 table 2: rho 32, then k = 4 polynomials of 256 coefficients at 10 bits; challenge 32, then l = 4 of 256 at
// 18 bits, then omega + k = 80 + 4 bytes of hints.
export const SIGNATURE_SIZES: Readonly<Record<SignatureName, SignatureSizes>> = {
  "ML-DSA-44": {
    publicKey: 32 + (4 * 256 * 10) / 8, // 1312
    secretKey: SEED_BYTES,
    signature: 32 + (4 * 256 * 18) / 8 + 80 + 4, // 2420
  },
};

// PKCS #8 of a seed-only ML-DSA-44 key (RFC 9881): everything before the seed.
const PKCS8_PREFIX = "3034020100300b060960864801650304031104228020";

/** Making a key object from a seed expands the whole key (about 90 us): each secret key array keeps its own. */
type KeyCache = WeakMap<Uint8Array, KeyObject>;

function privateKey(cache: KeyCache, secretKey: Uint8Array): KeyObject {
  const known = cache.get(secretKey);
  if (known !== undefined) return known;
  if (secretKey.length !== SEED_BYTES) throw new RangeError(`expected a seed of 32 bytes, got ${secretKey.length}`);
  const der = concat(fromHex(PKCS8_PREFIX)!, secretKey);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: "pkcs8" });
  wipe(der);
  cache.set(secretKey, key);
  return key;
}

function publicKeyObject(cache: KeyCache, publicKey: Uint8Array): KeyObject {
  const known = cache.get(publicKey);
  if (known !== undefined) return known;
  const key = createPublicKey({
    key: Buffer.from(publicKey),
    format: "raw-public",
    asymmetricKeyType: "ml-dsa-44",
  } as unknown as Parameters<typeof createPublicKey>[0]);
  cache.set(publicKey, key);
  return key;
}

function mlDsa44(): SignatureScheme {
  const sizes = SIGNATURE_SIZES["ML-DSA-44"];
  const secretKeys: KeyCache = new WeakMap();
  const publicKeys: KeyCache = new WeakMap();
  return {
    name: "ML-DSA-44",
    sizes,
    generateKeyPair(seed) {
      const secretKey = seed === undefined ? randomFillSync(ownBytes(SEED_BYTES)) : concat(seed);
      const exported = createPublicKey(privateKey(secretKeys, secretKey) as never).export({
        format: "raw-public",
      } as never) as unknown as Uint8Array;
      return { publicKey: new Uint8Array(exported), secretKey };
    },
    sign(secretKey, message, context) {
      const key = privateKey(secretKeys, secretKey);
      return new Uint8Array(signNative(null, message, { key, context: utf8(context) } as never));
    },
    verify(publicKey, message, signature, context) {
      if (publicKey.length !== sizes.publicKey || signature.length !== sizes.signature) return false;
      const key = publicKeyObject(publicKeys, publicKey);
      return verifyNative(null, message, { key, context: utf8(context) } as never, signature);
    },
  };
}

let scheme: SignatureScheme | undefined;

/** Throws TypeError for a name that is not offered. */
export function signature(name: SignatureName): SignatureScheme {
  if (name !== "ML-DSA-44") throw new TypeError(`no signature scheme ${name}`);
  scheme ??= mlDsa44();
  return scheme;
}

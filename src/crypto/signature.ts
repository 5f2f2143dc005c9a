// ML-DSA (FIPS 204) with context strings, on node:crypto. A secret key is the 32-byte seed of FIPS 204 Algorithm 1.

import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomFillSync,
  sign as signNative,
  verify as verifyNative,
} from "node:crypto";
import { concat, fromHex, utf8, wipe } from "../core/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type SignatureName = "ML-DSA-44" | "ML-DSA-65";

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

// FIPS 204 table 2. Public key: rho 32, then k polynomials of 256 coefficients at 10 bits. Signature: challenge, then l
// polynomials of 256 at 18 or 20 bits, then omega + k bytes of hints.
export const SIGNATURE_SIZES: Readonly<Record<SignatureName, SignatureSizes>> = {
  "ML-DSA-44": {
    publicKey: 32 + (4 * 256 * 10) / 8, // 1312
    secretKey: SEED_BYTES,
    signature: 32 + (4 * 256 * 18) / 8 + 80 + 4, // 2420
  },
  "ML-DSA-65": {
    publicKey: 32 + (6 * 256 * 10) / 8, // 1952
    secretKey: SEED_BYTES,
    signature: 48 + (5 * 256 * 20) / 8 + 55 + 6, // 3309
  },
};

interface NativeParameters {
  readonly keyType: "ml-dsa-44" | "ml-dsa-65";
  /** PKCS #8 of a seed-only key (RFC 9881): everything before the seed. */
  readonly pkcs8Prefix: string;
}

const NATIVE: Readonly<Record<SignatureName, NativeParameters>> = {
  "ML-DSA-44": { keyType: "ml-dsa-44", pkcs8Prefix: "3034020100300b060960864801650304031104228020" },
  "ML-DSA-65": { keyType: "ml-dsa-65", pkcs8Prefix: "3034020100300b060960864801650304031204228020" },
};

/** Making a key object from a seed expands the whole key (about 90 us): each secret key array keeps its own. */
type KeyCache = WeakMap<Uint8Array, KeyObject>;

function privateKey(cache: KeyCache, { pkcs8Prefix }: NativeParameters, secretKey: Uint8Array): KeyObject {
  const known = cache.get(secretKey);
  if (known !== undefined) return known;
  if (secretKey.length !== SEED_BYTES) throw new RangeError(`expected a seed of 32 bytes, got ${secretKey.length}`);
  const der = concat(fromHex(pkcs8Prefix)!, secretKey);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: "pkcs8" });
  wipe(der);
  cache.set(secretKey, key);
  return key;
}

function publicKeyObject(cache: KeyCache, { keyType }: NativeParameters, publicKey: Uint8Array): KeyObject {
  const known = cache.get(publicKey);
  if (known !== undefined) return known;
  const key = createPublicKey({
    key: Buffer.from(publicKey),
    format: "raw-public",
    asymmetricKeyType: keyType,
  } as unknown as Parameters<typeof createPublicKey>[0]);
  cache.set(publicKey, key);
  return key;
}

function mlDsa(name: SignatureName): SignatureScheme {
  const sizes = SIGNATURE_SIZES[name];
  const native = NATIVE[name];
  const secretKeys: KeyCache = new WeakMap();
  const publicKeys: KeyCache = new WeakMap();
  return {
    name,
    sizes,
    generateKeyPair(seed) {
      const secretKey = seed === undefined ? randomFillSync(new Uint8Array(SEED_BYTES)) : new Uint8Array(seed);
      const exported = createPublicKey(privateKey(secretKeys, native, secretKey) as never).export({
        format: "raw-public",
      } as never) as unknown as Uint8Array;
      return { publicKey: new Uint8Array(exported), secretKey };
    },
    sign(secretKey, message, context) {
      const key = privateKey(secretKeys, native, secretKey);
      return new Uint8Array(signNative(null, message, { key, context: utf8(context) } as never));
    },
    verify(publicKey, message, signature, context) {
      if (publicKey.length !== sizes.publicKey || signature.length !== sizes.signature) return false;
      const key = publicKeyObject(publicKeys, native, publicKey);
      return verifyNative(null, message, { key, context: utf8(context) } as never, signature);
    },
  };
}

const schemes = /* @__PURE__ */ new Map<SignatureName, SignatureScheme>();

/** Throws TypeError for a name that is not offered. */
export function signature(name: SignatureName): SignatureScheme {
  if (!Object.hasOwn(SIGNATURE_SIZES, name)) throw new TypeError(`no signature scheme ${name}`);
  const scheme = schemes.get(name) ?? mlDsa(name);
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

// What the cryptography takes from where it runs. native-platform.ts has it from node:crypto, web-platform.ts from
// WebCrypto, noble and kernels of our own. Which one is taken is settled when a program is put together, by the member
// "browser" of package.json, not while it runs: nothing falls back from one to the other.

import type { FrodoPrimitives } from "./frodo-primitives.ts";
import type { MlDsaName, MlDsaPrimitives } from "./ml-dsa-primitives.ts";
import type { MlKemPrimitives } from "./ml-kem-primitives.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type HashName = "sha256" | "sha384" | "sha512";

export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** Ends it. */
  digest(): Bytes;
}

/** X25519 (RFC 7748) on raw keys of 32 bytes. */
export interface X25519 {
  generate(secretKey?: Uint8Array): Promise<{ publicKey: Bytes; secretKey: Bytes }>;
  /** undefined for a peer key of small order, whose shared point would be zero. */
  shared(secretKey: Uint8Array, peer: Uint8Array): Promise<Bytes | undefined>;
}

/** AES-256-GCM under one key, with 96-bit nonces, 128-bit tags and no associated data. */
export interface ChunkCipher {
  /** Ciphertext, then tag. */
  seal(nonce: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array>;
  /** undefined where the tag does not hold. */
  open(nonce: Uint8Array, sealed: Uint8Array): Promise<Uint8Array | undefined>;
}

export interface Platform {
  randomBytes(length: number): Bytes;
  startHash(name: HashName): RunningHash;
  /** At once: for short inputs. */
  hash(name: HashName, input: Uint8Array): Bytes;
  /** FIPS 198-1. */
  startHmac(name: HashName, key: Uint8Array): RunningHash;
  /** RFC 5869, extract and expand at once. */
  hkdf(name: HashName, secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Bytes;
  chunkCipher(key: Uint8Array): Promise<ChunkCipher>;
  /** Made when first asked for, like the following ones: importing does nothing. */
  frodo(): FrodoPrimitives;
  mlKem(): MlKemPrimitives;
  mlDsa(name: MlDsaName): MlDsaPrimitives;
  x25519(): X25519;
}

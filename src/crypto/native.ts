// The key exchange's way to node:crypto: SHAKE, AES-128-ECB, ML-KEM and randomness.

import {
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  decapsulate as openSslDecapsulate,
  encapsulate as openSslEncapsulate,
  randomFillSync,
} from "node:crypto";
import { ownBytes } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { ShakeBits } from "./frodo-primitives.ts";

/** FIPS 202 SHAKE128 or SHAKE256: length bytes, the caller's to wipe. One-shot, so that no sponge waits for the GC. */
export function shake(bits: ShakeBits, input: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const out = hash(`shake${bits}`, input, { outputEncoding: "buffer", outputLength: length });
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return randomFillSync(ownBytes(length));
}

/** Encrypts whole blocks of 16 bytes into out. For public keys and public blocks: it expands a seed. */
export function aes128Ecb(key: Uint8Array): (blocks: Uint8Array, out: Uint8Array) => void {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
  return (blocks, out) => {
    const encrypted = cipher.update(blocks);
    out.set(encrypted);
    // Returns the pages at once: left to the GC, each call takes fresh ones, and faults cost more than the cipher.
    if (encrypted.buffer.byteLength === encrypted.length) encrypted.buffer.transfer(0);
  };
}

export type MlKemParameters = "ml-kem-768" | "ml-kem-1024";

function mlKemPrivateKey(parameters: MlKemParameters, seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(seed), format: "raw-seed", asymmetricKeyType: parameters });
}

/** seed: d|z of FIPS 203 section 7.1, 64 bytes. */
export function mlKemPublicKey(parameters: MlKemParameters, seed: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createPublicKey(mlKemPrivateKey(parameters, seed)).export({ format: "raw-public" }));
}

/** FIPS 203 ML-KEM.Encaps with its modulus check: a key that fails it throws kem.public_key. */
export function mlKemEncapsulate(
  parameters: MlKemParameters,
  publicKey: Uint8Array,
): { ciphertext: Uint8Array<ArrayBuffer>; sharedSecret: Uint8Array<ArrayBuffer> } {
  const { ciphertext, sharedKey } = openSslEncapsulate(readMlKemPublicKey(parameters, publicKey));
  return { ciphertext: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedKey) };
}

function readMlKemPublicKey(parameters: MlKemParameters, publicKey: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: "raw-public", asymmetricKeyType: parameters });
  } catch (cause) {
    throw new QflareError("kem.public_key", undefined, { cause });
  }
}

/** FIPS 203 ML-KEM.Decaps with implicit rejection. */
export function mlKemDecapsulate(
  parameters: MlKemParameters,
  seed: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(openSslDecapsulate(mlKemPrivateKey(parameters, seed), ciphertext));
}

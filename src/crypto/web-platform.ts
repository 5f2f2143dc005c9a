// The platform of browsers: WebCrypto for what it has (AES-GCM, X25519, randomness), noble for what must not wait
// (SHA-2) and what it lacks (ML-KEM, ML-DSA), kernels of our own for FrodoKEM.

import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { KernelPrimitives } from "./kernel-primitives.ts";
import type { ChunkCipher, HashName, Platform, RunningHash } from "./platform.ts";
import { WEB_ML_KEM, webMlDsa } from "./web-post-quantum.ts";
import { WEB_X25519 } from "./web-x25519.ts";

type Key = Awaited<ReturnType<typeof globalThis.crypto.subtle.importKey>>;

const HASHES = { sha256, sha384, sha512 } as const satisfies Record<HashName, unknown>;

function running(hash: { update(bytes: Uint8Array): unknown; digest(): Uint8Array }): RunningHash {
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => new Uint8Array(hash.digest()),
  };
}

async function chunkCipher(bytes: Uint8Array): Promise<ChunkCipher> {
  const { subtle } = globalThis.crypto;
  const key = await subtle.importKey("raw", new Uint8Array(bytes), "AES-GCM", false, ["encrypt", "decrypt"]);
  return {
    seal: async (nonce, plaintext) =>
      new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv: new Uint8Array(nonce) }, key, viewOf(plaintext))),
    open: (nonce, sealed) => open(key, nonce, sealed),
  };
}

async function open(key: Key, nonce: Uint8Array, sealed: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    const { subtle } = globalThis.crypto;
    return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv: new Uint8Array(nonce) }, key, viewOf(sealed)));
  } catch (error) {
    if ((error as Error).name === "OperationError") return undefined;
    throw error;
  }
}

/** WebCrypto takes no view of memory that is shared between threads. */
function viewOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

let frodo: KernelPrimitives | undefined;

export const PLATFORM: Platform = {
  randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
  startHash: (name) => running(HASHES[name].create()),
  hash: (name, input) => new Uint8Array(HASHES[name](input)),
  startHmac: (name, key) => running(hmac.create(HASHES[name], key)),
  hkdf: (name, secret, salt, info, length) => new Uint8Array(hkdf(HASHES[name], secret, salt, info, length)),
  chunkCipher,
  frodo: () => {
    frodo ??= new KernelPrimitives();
    return frodo;
  },
  mlKem: () => WEB_ML_KEM,
  mlDsa: webMlDsa,
  x25519: () => WEB_X25519,
};

// The platform of Node: node:crypto.

import { createHash, createHmac, hash, hkdfSync, randomFillSync } from "node:crypto";
import { ownBytes, takeOver } from "../core/bytes.ts";
import { openAead, sealAead } from "./aead.ts";
import { NativeMlDsa } from "./native-ml-dsa.ts";
import { nativeMlKem } from "./native-ml-kem.ts";
import { NATIVE_PRIMITIVES } from "./native-primitives.ts";
import { nativeX25519 } from "./native-x25519.ts";
import type { Platform, RunningHash } from "./platform.ts";

const NOTHING: Uint8Array = /* @__PURE__ */ new Uint8Array(0);

/** What createHash and createHmac give. */
function running(hash: { update(bytes: Uint8Array): unknown; digest(): Uint8Array }): RunningHash {
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => takeOver(hash.digest()),
  };
}

export const PLATFORM: Platform = {
  randomBytes: (length) => randomFillSync(ownBytes(length)),
  startHash: (name) => running(createHash(name)),
  hash: (name, input) => new Uint8Array(hash(name, input, { outputEncoding: "buffer" })),
  startHmac: (name, key) => running(createHmac(name, key)),
  hkdf: (name, secret, salt, info, length) => new Uint8Array(hkdfSync(name, secret, salt, info, length) as ArrayBuffer),
  chunkCipher: async (key) => ({
    seal: async (nonce, plaintext) => sealAead(key, nonce, NOTHING, plaintext),
    open: async (nonce, sealed) => openAead(key, nonce, NOTHING, sealed),
  }),
  frodo: () => NATIVE_PRIMITIVES,
  mlKem: nativeMlKem,
  mlDsa: (name) => new NativeMlDsa(name),
  x25519: nativeX25519,
};

// In place of src/crypto/native-x25519.ts, for bench/security-cost.ts: everybody shares zeros.

import { randomBytes } from "node:crypto";
import type { X25519 } from "../../../src/crypto/platform.ts";

const KEY_BYTES = 32;

export function nativeX25519(): X25519 {
  return {
    generate: async (given: Uint8Array = randomBytes(KEY_BYTES)) => ({
      publicKey: new Uint8Array(given),
      secretKey: new Uint8Array(given),
    }),
    shared: async () => new Uint8Array(KEY_BYTES),
  };
}

// X25519 by WebCrypto, which reads secret keys as PKCS #8 alone and gives no public key of one.

import { concat, fromHex, wipe } from "../core/bytes.ts";
import type { X25519 } from "./platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Key = Awaited<ReturnType<typeof globalThis.crypto.subtle.importKey>>;

const KEY_BYTES = 32;
/** PKCS #8 of RFC 8410: everything before the 32 bytes of the key. */
const PKCS8_PREFIX = "302e020100300506032b656e04220420";
/** The u-coordinate 9 of RFC 7748 section 4.1. */
const BASE_POINT: Uint8Array<ArrayBuffer> = /* @__PURE__ */ new Uint8Array(KEY_BYTES).fill(9, 0, 1);

export const WEB_X25519: X25519 = {
  async generate(given) {
    const secretKey =
      given === undefined ? globalThis.crypto.getRandomValues(new Uint8Array(KEY_BYTES)) : new Uint8Array(given);
    return { publicKey: await multiply(await importSecret(secretKey), BASE_POINT), secretKey };
  },
  async shared(secretKey, peer) {
    const key = await importSecret(secretKey);
    try {
      return await multiply(key, peer);
    } catch (error) {
      // The shared point of zero (W3C, Secure Curves in the Web Cryptography API, X25519, derive bits).
      if ((error as Error).name === "OperationError") return undefined;
      throw error;
    }
  },
};

async function importSecret(secretKey: Uint8Array): Promise<Key> {
  const encoded = concat(fromHex(PKCS8_PREFIX)!, secretKey);
  try {
    return await globalThis.crypto.subtle.importKey("pkcs8", encoded, { name: "X25519" }, false, ["deriveBits"]);
  } finally {
    wipe(encoded);
  }
}

async function multiply(key: Key, point: Uint8Array): Promise<Bytes> {
  const { subtle } = globalThis.crypto;
  const peer = await subtle.importKey("raw", new Uint8Array(point), { name: "X25519" }, false, []);
  return new Uint8Array(await subtle.deriveBits({ name: "X25519", public: peer }, key, 8 * KEY_BYTES));
}

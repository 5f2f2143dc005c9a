// X25519 (RFC 7748) as a KEM: the ciphertext is an ephemeral public key, the secret the shared point. Bare on purpose:
// only hybrid.ts uses it, whose combiner binds keys and ciphertext.

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, randomFillSync } from "node:crypto";
import { concat, fromHex, ownBytes, takeOver, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const X25519_BYTES = 32;

// PKCS #8 and SubjectPublicKeyInfo of RFC 8410: everything before the 32 bytes of the key.
const PKCS8_PREFIX = "302e020100300506032b656e04220420";
const SPKI_PREFIX = "302a300506032b656e032100";

function privateKey(secretKey: Uint8Array): KeyObject {
  const der = concat(fromHex(PKCS8_PREFIX)!, secretKey);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: "pkcs8" });
  wipe(der);
  return key;
}

function publicKey(bytes: Uint8Array): KeyObject {
  const der = concat(fromHex(SPKI_PREFIX)!, bytes);
  return createPublicKey({ key: Buffer.from(der.buffer), format: "der", type: "spki" });
}

export function generateX25519(secret?: Uint8Array): { publicKey: Bytes; secretKey: Bytes } {
  const secretKey = secret === undefined ? randomFillSync(ownBytes(X25519_BYTES)) : concat(secret);
  const spki = createPublicKey(privateKey(secretKey) as never).export({ format: "der", type: "spki" });
  return { publicKey: new Uint8Array(spki.subarray(spki.length - X25519_BYTES)), secretKey };
}

/** Throws message.malformed for a peer key of small order, whose shared point would be zero. */
export function sharedX25519(secretKey: Uint8Array, peer: Uint8Array): Bytes {
  try {
    const shared = diffieHellman({ privateKey: privateKey(secretKey), publicKey: publicKey(peer) });
    return takeOver(shared);
  } catch (cause) {
    throw new QflareError("message.malformed", "expected an X25519 key of full order", { cause });
  }
}

// Ed25519 (RFC 8032) on node:crypto, for what verifiers without post-quantum signatures read. Nothing of the protocol
// rests on it. A secret key is the 32-byte seed of RFC 8032 section 5.1.5.

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { concat, fromHex, wipe } from "../core/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const ED25519_SIZES = { publicKey: 32, secretKey: 32, signature: 64 } as const;

// PKCS #8 and SubjectPublicKeyInfo of RFC 8410: everything before the key.
const PKCS8_PREFIX = "302e020100300506032b657004220420";
const SPKI_PREFIX = "302a300506032b6570032100";

function privateKey(secretKey: Uint8Array): KeyObject {
  if (secretKey.length !== ED25519_SIZES.secretKey) throw new RangeError("expected a seed of 32 bytes");
  const der = concat(fromHex(PKCS8_PREFIX)!, secretKey);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: "pkcs8" });
  wipe(der);
  return key;
}

export interface Ed25519Signer {
  readonly publicKey: Bytes;
  sign(message: Uint8Array): Bytes;
}

export function ed25519Signer(secretKey: Uint8Array): Ed25519Signer {
  const key = privateKey(secretKey);
  const der = createPublicKey(key as never).export({ format: "der", type: "spki" });
  return {
    publicKey: new Uint8Array(der.subarray(-ED25519_SIZES.publicKey)),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}

/** False for anything but a valid signature, wrong lengths included. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ED25519_SIZES.publicKey || signature.length !== ED25519_SIZES.signature) return false;
  const der = Buffer.from(concat(fromHex(SPKI_PREFIX)!, publicKey));
  return verify(null, message, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
}

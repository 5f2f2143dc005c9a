// In place of src/crypto/aead.ts, for bench/security-cost.ts: copies where the product encrypts.

import { AEAD_TAG_BYTES } from "../../../src/crypto/aead-sizes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export function sealAead(_key: Uint8Array, _nonce: Uint8Array, _associated: Uint8Array, plaintext: Uint8Array): Bytes {
  const out = new Uint8Array(plaintext.length + AEAD_TAG_BYTES);
  out.set(plaintext);
  return out;
}

export function sealAeadInto(
  out: Uint8Array,
  _key: Uint8Array,
  _nonce: Uint8Array,
  _associated: Uint8Array,
  plaintext: Uint8Array,
): void {
  out.set(plaintext);
}

export function openAead(
  _key: Uint8Array,
  _nonce: Uint8Array,
  _associated: Uint8Array,
  sealed: Uint8Array,
): Bytes | undefined {
  return new Uint8Array(sealed.subarray(0, sealed.length - AEAD_TAG_BYTES));
}

export function openAeadInto(
  out: Uint8Array,
  _key: Uint8Array,
  _nonce: Uint8Array,
  _associated: Uint8Array,
  sealed: Uint8Array,
): boolean {
  out.set(sealed.subarray(0, sealed.length - AEAD_TAG_BYTES));
  return true;
}

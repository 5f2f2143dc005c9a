// Enrolment: a device brings its two public keys under a one-time token.
//
//   device -> server  enrollRequest { message: enroll, signature, mac }
//   server -> device  enrollAnswer  { message: enrolled, signature }
//
// signature: the device's own key over the message. mac: keyed by the token's secret, over message and signature, so
// that neither can be swapped. The answer's signature covers the request too, and its key is the one that the token
// pins.

import { LIMITS } from "../core/limits.ts";
import { bytes, message, type Of, object, oneOf, text, uint } from "../core/shape.ts";
import { hmacSha384, SHA384_BYTES, sha256, sha384 } from "../crypto/hash.ts";
import { kemSizes } from "../crypto/kem-sizes.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { kindsOfKeys, lengthsOver, SUITES } from "../crypto/suite.ts";
import { DEVICE_NAME, TOKEN_ID_BYTES } from "./token.ts";
import { DEVICE_ID, ENROLL_MAC, gather } from "./transcript.ts";

export const DEVICE_ID_BYTES = 16;

export const kemPublicKey = bytes(...lengthsOver((suite) => kemSizes(suite.static).publicKey));
export const signaturePublicKey = bytes(...lengthsOver((suite) => SIGNATURE_SIZES[suite.signature].publicKey));
/** As long as the scheme of the suite makes it. */
export const anySignature = bytes(...lengthsOver((suite) => SIGNATURE_SIZES[suite.signature].signature));
const KEM_NAMES = [...new Set(Object.values(SUITES).map((suite) => suite.static))];
const SIGNATURE_NAMES = [...new Set(Object.values(SUITES).map((suite) => suite.signature))];

/** The two keys of a device, with the mechanisms that they are of. */
export const deviceKeyFields = {
  kem: oneOf(...KEM_NAMES),
  kem_public_key: kemPublicKey,
  signature_scheme: oneOf(...SIGNATURE_NAMES),
  signature_public_key: signaturePublicKey,
};
const deviceKeysShape = object(deviceKeyFields);

export const enrollMessage = message("enroll", 20_480, {
  v: uint(1, 1),
  enrollment_token: bytes(TOKEN_ID_BYTES),
  name: text(LIMITS.nameLengthMax, DEVICE_NAME),
  ...deviceKeyFields,
  server_fingerprint: bytes(32),
});

export const enrollRequest = message("enroll request", 26_624, {
  message: bytes(1, enrollMessage.bytesMax),
  signature: anySignature,
  mac: bytes(SHA384_BYTES),
});

export const enrolledMessage = message("enrolled", 1024, {
  v: uint(1, 1),
  request_digest: bytes(SHA384_BYTES),
  device_id: bytes(DEVICE_ID_BYTES),
  name: text(LIMITS.nameLengthMax, DEVICE_NAME),
  run_id: bytes(32),
  enrolled_at: uint(),
});

export const enrollAnswer = message("enroll answer", 8192, {
  message: bytes(1, enrolledMessage.bytesMax),
  signature: anySignature,
});

export function enrollMac(
  tokenSecret: Uint8Array,
  enroll: Uint8Array,
  enrollSignature: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return hmacSha384(tokenSecret, gather(ENROLL_MAC, { message: enroll, signature: enrollSignature }));
}

export function enrollDigest(requestBytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha384(requestBytes);
}

export type NamedKeys = Of<typeof deviceKeysShape>;

/** Whether the keys are of the mechanisms named beside them, and some suite uses the two together. */
export function areKeysOfSuite(keys: NamedKeys): boolean {
  const kinds = kindsOfKeys(keys.kem_public_key, keys.signature_public_key);
  return kinds !== undefined && kinds.static === keys.kem && kinds.signature === keys.signature_scheme;
}

/** A device is its two keys: no name, number or account can be moved to other keys. */
export function deviceId(kemKeyHash: Uint8Array, signaturePublicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const input = gather(DEVICE_ID, { kemKeyHash, signatureKeyHash: sha256(signaturePublicKey) });
  return sha256(input).slice(0, DEVICE_ID_BYTES);
}

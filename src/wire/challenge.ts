// The two messages of the handshake, POST /api/challenge. What they achieve stands in handshake.ts.
//
//   device -> server  challengeRequest { message: hello (M1), signature }
//   server -> device  challengeAnswer  { message: answer (M2), signature, confirmation }

import { LIMITS } from "../core/limits.ts";
import { bytes, list, message, nullable, type Of, oneOf, text, uint } from "../core/shape.ts";
import { SHA256_BYTES } from "../crypto/hash.ts";
import { kemSizes } from "../crypto/kem-sizes.ts";
import { exchangeSizes, lengthsOver, SUITE_NAMES } from "../crypto/suite.ts";
import { anySignature, DEVICE_ID_BYTES } from "./enroll.ts";

export const SESSION_ID_BYTES = 16;
export const NONCE_BYTES = 32;
export const CONFIRMATION_BYTES = 32;

/** A later version's suite too: who does not know it says so instead of finding the message malformed. */
const suiteName = text(LIMITS.suiteNameLengthMax, /^[A-Z0-9-]+$/);

/** Id of a key held beforehand. */
const pskId = bytes(1, LIMITS.pskIdBytesMax);

/**
 * suites: all that the device would take, preferred first. suite: the one that ephemeral_public_key is for. A server
 * that allows an earlier entry of suites refuses: stripping the preferred suite from the way cannot go unseen. psk_ids:
 * keys that the device holds beforehand and would mix in.
 */
export const helloMessage = message("hello", 16_384, {
  v: uint(1, 1),
  suites: list(suiteName, 1, LIMITS.suitesMax),
  suite: suiteName,
  device_id: bytes(DEVICE_ID_BYTES),
  nonce: bytes(NONCE_BYTES),
  timestamp: uint(),
  ephemeral_public_key: bytes(...lengthsOver((suite) => exchangeSizes(suite.ephemeral).publicKey)),
  psk_ids: list(pskId, 0, LIMITS.pskIdsMax),
});

export const challengeRequest = message("challenge request", 20_480, {
  message: bytes(1, helloMessage.bytesMax),
  signature: anySignature,
});

/**
 * enclave_key_hash: SHA-256 of the epoch key in force, zeros while there is none. psk_id: the key held beforehand that
 * the server mixed in.
 */
export const answerMessage = message("answer", 32_768, {
  v: uint(1, 1),
  suite: oneOf(...SUITE_NAMES),
  session_id: bytes(SESSION_ID_BYTES),
  nonce: bytes(NONCE_BYTES),
  expires_at: uint(),
  ephemeral_ciphertext: bytes(...lengthsOver((suite) => exchangeSizes(suite.ephemeral).ciphertext)),
  static_ciphertext: bytes(...lengthsOver((suite) => kemSizes(suite.static).ciphertext)),
  enclave_key_hash: bytes(SHA256_BYTES),
  psk_id: nullable(pskId),
});

export const challengeAnswer = message("challenge answer", 36_864, {
  message: bytes(1, answerMessage.bytesMax),
  signature: anySignature,
  confirmation: bytes(CONFIRMATION_BYTES),
});

export type Hello = Of<typeof helloMessage.shape>;
export type Answer = Of<typeof answerMessage.shape>;

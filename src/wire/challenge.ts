// The two messages of the handshake, POST /api/challenge. What they achieve stands in handshake.ts.
//
//   device -> server  challengeRequest { message: hello (M1), signature }
//   server -> device  challengeAnswer  { message: answer (M2), signature, confirmation }

import { LIMITS } from "../core/limits.ts";
import { bytes, list, message, type Of, oneOf, uint } from "../core/shape.ts";
import { SHA256_BYTES } from "../crypto/hash.ts";
import { kemSizes } from "../crypto/kem-sizes.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { exchangeSizes, SUITE_NAMES, SUITES } from "../crypto/suite.ts";
import { DEVICE_ID_BYTES } from "./enroll.ts";

const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];
const EPHEMERAL = Object.values(SUITES).map((suite) => exchangeSizes(suite.ephemeral));
const PUBLIC_KEYS = EPHEMERAL.map((sizes) => sizes.publicKey);
const CIPHERTEXTS = EPHEMERAL.map((sizes) => sizes.ciphertext);

export const SESSION_ID_BYTES = 16;
export const NONCE_BYTES = 32;
export const CONFIRMATION_BYTES = 32;

/**
 * suites: all that the device would take, preferred first. suite: the one that ephemeral_public_key is for. A server
 * that allows an earlier entry of suites refuses: stripping the preferred suite from the way cannot go unseen.
 */
export const helloMessage = message("hello", 16_384, {
  v: uint(1, 1),
  suites: list(oneOf(...SUITE_NAMES), 1, LIMITS.suitesMax),
  suite: oneOf(...SUITE_NAMES),
  device_id: bytes(DEVICE_ID_BYTES),
  nonce: bytes(NONCE_BYTES),
  timestamp: uint(),
  ephemeral_public_key: bytes(Math.min(...PUBLIC_KEYS), Math.max(...PUBLIC_KEYS)),
});

export const challengeRequest = message("challenge request", 20_480, {
  message: bytes(1, helloMessage.bytesMax),
  signature: bytes(MLDSA.signature),
});

/** enclave_key_hash: SHA-256 of the epoch key in force, zeros while there is none. */
export const answerMessage = message("answer", 32_768, {
  v: uint(1, 1),
  suite: oneOf(...SUITE_NAMES),
  session_id: bytes(SESSION_ID_BYTES),
  nonce: bytes(NONCE_BYTES),
  expires_at: uint(),
  ephemeral_ciphertext: bytes(Math.min(...CIPHERTEXTS), Math.max(...CIPHERTEXTS)),
  static_ciphertext: bytes(kemSizes("FrodoKEM-640-AES").ciphertext),
  enclave_key_hash: bytes(SHA256_BYTES),
});

export const challengeAnswer = message("challenge answer", 36_864, {
  message: bytes(1, answerMessage.bytesMax),
  signature: bytes(MLDSA.signature),
  confirmation: bytes(CONFIRMATION_BYTES),
});

export type Hello = Of<typeof helloMessage.shape>;
export type Answer = Of<typeof answerMessage.shape>;

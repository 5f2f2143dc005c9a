// Resumption, POST /api/resume: new keys for a session that both ends hold, without FrodoKEM and without signatures.
//
//   device -> server  resumeRequest { message: resume hello (M1), binder }
//   server -> device  resumeChallengeAnswer { message: resume answer (M2), confirmation }
//
//   binder  HMAC(Expand(resumption, binder key label), label LP(M1)): only who holds the session's resumption secret
//   keys    the schedule of handshake.ts over the resumption secret and the fresh ephemeral secret
//
// The ticket is the id of a session that lived; the server alone holds what belongs to it, and takes it once. Reading a
// resumed session needs the secret of the session before and the ephemeral one: it heals, and never weakens.

import { bytes, message, type Of, uint } from "../core/shape.ts";
import { hmacSha384, SHA256_BYTES, SHA384_BYTES, sha384 } from "../crypto/hash.ts";
import { expand } from "../crypto/hkdf.ts";
import { exchangeSizes, RESUME_KEM } from "../crypto/suite.ts";
import { CONFIRMATION_BYTES, NONCE_BYTES, SESSION_ID_BYTES } from "./challenge.ts";
import { gather, RESUME_BINDER, TRANSCRIPT } from "./transcript.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SIZES = exchangeSizes(RESUME_KEM);
const BINDER_BYTES = 32;

/** ticket: id of the session that goes on under new keys. */
export const resumeHello = message("resume hello", 4096, {
  v: uint(1, 1),
  ticket: bytes(SESSION_ID_BYTES),
  nonce: bytes(NONCE_BYTES),
  ephemeral_public_key: bytes(SIZES.publicKey),
});

export const resumeRequest = message("resume request", 4608, {
  message: bytes(1, resumeHello.bytesMax),
  binder: bytes(BINDER_BYTES),
});

export const resumeAnswer = message("resume answer", 4096, {
  v: uint(1, 1),
  session_id: bytes(SESSION_ID_BYTES),
  nonce: bytes(NONCE_BYTES),
  expires_at: uint(),
  ephemeral_ciphertext: bytes(SIZES.ciphertext),
  enclave_key_hash: bytes(SHA256_BYTES),
});

export const resumeChallengeAnswer = message("resume challenge answer", 4608, {
  message: bytes(1, resumeAnswer.bytesMax),
  confirmation: bytes(CONFIRMATION_BYTES),
});

export type ResumeHello = Of<typeof resumeHello.shape>;
export type ResumeAnswer = Of<typeof resumeAnswer.shape>;

export function resumeBinder(resumption: Uint8Array, hello: Uint8Array): Bytes {
  const key = expand(resumption, gather(RESUME_BINDER.key, {}), SHA384_BYTES);
  const binder = hmacSha384(key, gather(RESUME_BINDER.mac, { hello })).slice(0, BINDER_BYTES);
  key.fill(0);
  return binder;
}

/** th2 of a resumption. */
export function resumeTranscript(
  hello: Uint8Array,
  binder: Uint8Array,
  answer: Uint8Array,
  serverKey: Uint8Array,
): Bytes {
  const th1 = sha384(gather(TRANSCRIPT.resumeTh1, { hello, binder }));
  return sha384(gather(TRANSCRIPT.th2, { th1, answer, serverKey }));
}

// Re-key: a device replaces both its keys, inside a session of the old ones, which proves that it holds both of them.
//
//   device -> server  rekeyRequest { message: rekey, old_signature, new_signature }, in a record
//   server -> device  rekeyAnswer  { message: rekeyed, signature }, in a record
//
// Both signatures cover the whole message: the old key says who follows it, the new key that it is not borrowed. The
// server's answer names the request by its digest; the same request again, also in a session of the new keys, gets the
// same answer.

import { bytes, message, uint } from "../core/shape.ts";
import { SHA384_BYTES } from "../crypto/hash.ts";
import { anySignature, DEVICE_ID_BYTES, deviceKeyFields } from "./enroll.ts";
import { RUN_ID_BYTES } from "./policy.ts";

/** device_id: of the old keys. */
export const rekeyMessage = message("rekey", 20_480, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  device_id: bytes(DEVICE_ID_BYTES),
  ...deviceKeyFields,
});

export const rekeyRequest = message("rekey request", 28_672, {
  message: bytes(1, rekeyMessage.bytesMax),
  old_signature: anySignature,
  new_signature: anySignature,
});

/** device_id: of the new keys. */
export const rekeyedMessage = message("rekeyed", 512, {
  v: uint(1, 1),
  request_digest: bytes(SHA384_BYTES),
  device_id: bytes(DEVICE_ID_BYTES),
  run_id: bytes(RUN_ID_BYTES),
  rekeyed_at: uint(),
});

export const rekeyAnswer = message("rekey answer", 4608, {
  message: bytes(1, rekeyedMessage.bytesMax),
  signature: anySignature,
});

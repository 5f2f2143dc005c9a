// Receipt: the server's signed word that an update is stored and will be counted or judged. Given once a round and
// device; sending the same update again gives the same receipt.

import { LIMITS } from "../core/limits.ts";
import { bytes, message, type Of, uint } from "../core/shape.ts";
import { BLOB_DIGEST_BYTES } from "../crypto/merkle.ts";
import { anySignature, DEVICE_ID_BYTES } from "./enroll.ts";
import { RUN_ID_BYTES } from "./policy.ts";

/** manifest_digest: SHA-256 of the manifest's bytes. audit_index: position of the update's entry in the audit log. */
export const receiptMessage = message("receipt", 1024, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  round: uint(1, LIMITS.roundsMax),
  device_id: bytes(DEVICE_ID_BYTES),
  blob_digest: bytes(BLOB_DIGEST_BYTES),
  manifest_digest: bytes(32),
  accepted_at: uint(),
  audit_index: uint(),
});

export const receiptAnswer = message("receipt answer", 5120, {
  receipt: bytes(1, receiptMessage.bytesMax),
  signature: anySignature,
});

export type Receipt = Of<typeof receiptMessage.shape>;

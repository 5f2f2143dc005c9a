// Work: what a device asks for and gets, GET /api/global_model. The request waits at the server until there is
// something to do (long poll), so nobody sleeps on a fixed interval.

import { LIMITS } from "../core/limits.ts";
import { bytes, list, message, nullable, type Of, object, oneOf, text, uint } from "../core/shape.ts";
import { BLOB_DIGEST_BYTES } from "../crypto/merkle.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { auditEntry } from "./audit.ts";
import { LOG_VIEW, logHashes, logSize } from "./log-view.ts";
import { modelStatement } from "./model.ts";
import { policyMessage } from "./policy.ts";

/**
 * after_round: the last round that this device is done with. nonce: 32 random bytes, others in each request, where it
 * wants the enclave's evidence. log_size: what it has seen of the audit log.
 */
export const workRequest = message("work request", 256, {
  after_round: uint(0, LIMITS.roundsMax),
  wait_ms: uint(0, LIMITS.longPollMsMax),
  nonce: nullable(bytes(32)),
  log_size: logSize,
});

/**
 * Where the log announced the enclave's program before it was started, with the signed reference values of its release
 * (JSON).
 */
const ANNOUNCEMENT = object({
  reference: text(LIMITS.referenceBytesMax),
  log_entry: bytes(1, auditEntry.bytesMax),
  log_index: uint(),
  log_path: logHashes,
});

/** Where the log names the run's first enclave: at index 0. */
const FIRST = object({ log_entry: bytes(1, auditEntry.bytesMax), log_path: logHashes });

/**
 * The enclave's evidence, what it is bound to, what the vendor says about the platform (JSON), the proof that it covers
 * the device's nonce, the proof that the audit log names this enclave: its entry, where it stands, and the path from it
 * to the root of the task's checkpoint (RFC 6962 section 2.1.1); and the same for the announcement of its program or,
 * where it is the run's first and was never announced, for the log's first entry, which names that.
 */
const EVIDENCE = object({
  evidence: bytes(1, LIMITS.evidenceMessageBytesMax),
  binding: bytes(1, LIMITS.bindingBytesMax),
  collateral: nullable(bytes(1, LIMITS.collateralMessageBytesMax)),
  policy: bytes(1, policyMessage.bytesMax),
  nonce_index: uint(0, LIMITS.devicesPerRoundMax),
  nonce_count: uint(1, LIMITS.devicesPerRoundMax),
  nonce_path: list(bytes(32), 0, 32),
  log_entry: bytes(1, auditEntry.bytesMax),
  log_index: uint(),
  log_path: logHashes,
  announcement: nullable(ANNOUNCEMENT),
  first: nullable(FIRST),
});

const TASK = object({
  round: uint(1, LIMITS.roundsMax),
  /** Milliseconds left until updates are no longer taken. */
  remaining_ms: uint(0, LIMITS.roundDeadlineMsMax),
  model_blob: bytes(BLOB_DIGEST_BYTES),
  model_blob_length: uint(1, LIMITS.modelBytesMax),
  content_key: bytes(32),
  statement: bytes(1, modelStatement.bytesMax),
  statement_signature: bytes(SIGNATURE_SIZES["ML-DSA-44"].signature),
  policy_hash: bytes(32),
  enclave_key_hash: bytes(32),
  /** JSON text: epochs, batch size, learning rate. */
  plan: text(4096),
  log: LOG_VIEW,
});

const OUTCOME = object({
  round: uint(1, LIMITS.roundsMax),
  verdict: oneOf("accepted", "rejected", "passed over", "missing"),
  reason: nullable(text(64)),
});

/** state "wait": ask again. "train": task is there. "finished": the run is over. */
export const workAnswer = message("work answer", LIMITS.workMessageBytesMax, {
  state: oneOf("wait", "train", "finished"),
  task: nullable(TASK),
  evidence: nullable(EVIDENCE),
  /** What became of this device in the last closed round that it was selected for. */
  outcome: nullable(OUTCOME),
});

export type WorkRequest = Of<typeof workRequest.shape>;
export type WorkAnswer = Of<typeof workAnswer.shape>;
export type Task = Of<typeof TASK>;
export type EvidencePackage = Of<typeof EVIDENCE>;
export type Announcement = Of<typeof ANNOUNCEMENT>;
export type Outcome = Of<typeof OUTCOME>;

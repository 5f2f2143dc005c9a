// What a server asks of its enclave. One request is answered before the next is read. Nothing here can carry a secret
// key or an opened update: there is no operation for it.

import { LIMITS } from "../core/limits.ts";
import { bytes, list, type Message, message, nullable, object, oneOf, text, uint } from "../core/shape.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { exchangeSizes, lengthsOver } from "../crypto/suite.ts";
import { enclaveRecord } from "./audit.ts";
import { anySignature, DEVICE_ID_BYTES, signaturePublicKey } from "./enroll.ts";
import { modelStatement } from "./model.ts";
import { policyMessage } from "./policy.ts";
import { reportMessage } from "./report.ts";
import { manifestMessage } from "./update.ts";

const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];
const BYTES_MAX = LIMITS.frameBytesMax - 64;
const SEALED_KEYS_BYTES_MAX = 131_072;
const SEALED_PROGRESS_BYTES_MAX = 512;
const VALID_MS_MAX = LIMITS.epochMsMax + LIMITS.epochGraceMsMax;

const kemPublicKey = bytes(...lengthsOver((suite) => exchangeSizes(suite.update).publicKey));
const record = bytes(1, enclaveRecord.bytesMax);
const sealedKeys = bytes(1, SEALED_KEYS_BYTES_MAX);
/** Where the enclave stands; every answer gives a new one, to be stored with what else the answer changes. */
const progress = bytes(1, SEALED_PROGRESS_BYTES_MAX);
const statement = bytes(1, modelStatement.bytesMax);
/** Of the key before, while a round may hold updates that are sealed to it. */
const former = nullable(object({ kem_public_key: kemPublicKey, round: uint(1, LIMITS.roundsMax) }));
/** Where they have changed, to be stored in the place of those before. */
const changedKeys = nullable(sealedKeys);
const statementSignature = bytes(MLDSA.signature);

/**
 * Start a run, or resume it from what earlier answers gave. newest: of the enclave's records in the log. start: the
 * epoch of the key that a start makes; its evidence holds for valid_ms. at: the server's clock, which the enclave uses
 * for validity periods and audit records alone.
 */
const openRequest = message("open request", BYTES_MAX, {
  policy: bytes(1, policyMessage.bytesMax),
  resume: nullable(object({ keys: sealedKeys, progress })),
  newest: nullable(record),
  start: object({ epoch: uint(1), first_round: uint(1, LIMITS.roundsMax), valid_ms: uint(1, VALID_MS_MAX) }),
  at: uint(),
});
const openAnswer = message("open answer", BYTES_MAX, {
  signature_public_key: bytes(MLDSA.publicKey),
  kem_public_key: kemPublicKey,
  epoch: uint(1),
  first_round: uint(1, LIMITS.roundsMax),
  not_after: uint(),
  former,
  /** Round of the model that it has signed last. */
  latest_round: nullable(uint(0, LIMITS.roundsMax)),
  isolation: text(16),
  keys: sealedKeys,
  progress,
  record,
});

/**
 * The next epoch: a new key, under the same identity. first_round: the first that begins in it. The key before stays
 * for the round that is open, and no longer.
 */
const rotateRequest = message("rotate request", BYTES_MAX, {
  first_round: uint(1, LIMITS.roundsMax),
  valid_ms: uint(1, VALID_MS_MAX),
  at: uint(),
});
const rotateAnswer = message("rotate answer", BYTES_MAX, {
  kem_public_key: kemPublicKey,
  epoch: uint(1),
  not_after: uint(),
  former,
  keys: sealedKeys,
  progress,
  record,
});

/** Evidence that answers these nonces. */
const attestRequest = message("attest request", BYTES_MAX, {
  nonces: list(bytes(32), 1, LIMITS.devicesPerRoundMax),
  at: uint(),
});
const attestAnswer = message("attest answer", BYTES_MAX, {
  evidence: bytes(1, 65_536),
  progress,
  record,
});

/** The first model (blob) of a run: signed as round 0. */
const genesisRequest = message("genesis request", BYTES_MAX, { at: uint() });
const genesisAnswer = message("genesis answer", BYTES_MAX, {
  statement,
  signature: statementSignature,
  progress,
  record,
});

/**
 * The newest model (blob) of a run whose enclave before is lost, and what that one signed about it: signed anew, for it
 * can no longer be checked that the model is the one. What stands in the log and with the devices tells.
 */
const adoptRequest = message("adopt request", BYTES_MAX, { statement, at: uint() });
const adoptAnswer = message("adopt answer", BYTES_MAX, {
  statement,
  signature: statementSignature,
  progress,
  record,
});

/** Opens a round on a model (blob) that this enclave has signed. report: of the round that made it, if one did. */
const beginRequest = message("begin request", BYTES_MAX, {
  round: uint(1, LIMITS.roundsMax),
  statement,
  signature: statementSignature,
  report: nullable(bytes(1, reportMessage.bytesMax)),
  cohort: list(
    object({
      device_id: bytes(DEVICE_ID_BYTES),
      kem_key_hash: bytes(32),
      signature_public_key: signaturePublicKey,
    }),
    1,
    LIMITS.devicesPerRoundMax,
  ),
  at: uint(),
});
const beginAnswer = message("begin answer", BYTES_MAX, { keys: changedKeys, progress, record });

/** One sealed update (blob). */
const updateRequest = message("update request", BYTES_MAX, {
  manifest: bytes(1, manifestMessage.bytesMax),
  signature: anySignature,
  at: uint(),
});
const updateAnswer = message("update answer", BYTES_MAX, {
  verdict: oneOf("kept", "rejected"),
  reason: nullable(text(64)),
  progress,
  record,
});

/** Ends the round, either way: result with the new model file as blob, or why there is none. */
const aggregateRequest = message("aggregate request", BYTES_MAX, {
  round: uint(1, LIMITS.roundsMax),
  at: uint(),
});
const aggregateAnswer = message("aggregate answer", BYTES_MAX, {
  result: nullable(object({ statement, signature: statementSignature, report: bytes(1, BYTES_MAX - 2 ** 18) })),
  failure: nullable(text(512)),
  keys: changedKeys,
  progress,
  record,
});

export const ENCLAVE_OPERATIONS = {
  open: { request: openRequest, answer: openAnswer },
  rotate: { request: rotateRequest, answer: rotateAnswer },
  attest: { request: attestRequest, answer: attestAnswer },
  genesis: { request: genesisRequest, answer: genesisAnswer },
  adopt: { request: adoptRequest, answer: adoptAnswer },
  begin: { request: beginRequest, answer: beginAnswer },
  update: { request: updateRequest, answer: updateAnswer },
  aggregate: { request: aggregateRequest, answer: aggregateAnswer },
} as const;

export type EnclaveOperation = keyof typeof ENCLAVE_OPERATIONS;
type ValueOf<M> = M extends Message<infer T> ? T : never;
export type EnclaveRequest<K extends EnclaveOperation> = ValueOf<(typeof ENCLAVE_OPERATIONS)[K]["request"]>;
export type EnclaveAnswer<K extends EnclaveOperation> = ValueOf<(typeof ENCLAVE_OPERATIONS)[K]["answer"]>;

/** Envelope of a request. blob_length bytes follow in pieces. */
export const enclaveCall = message("enclave call", LIMITS.frameBytesMax, {
  operation: oneOf("open", "rotate", "attest", "genesis", "adopt", "begin", "update", "aggregate"),
  body: bytes(0, BYTES_MAX),
  blob_length: uint(0, LIMITS.updateBytesMax),
});

/** Envelope of an answer: body where error is null. */
export const enclaveReply = message("enclave reply", LIMITS.frameBytesMax, {
  error: nullable(object({ code: text(64), detail: text(512) })),
  body: bytes(0, BYTES_MAX),
  blob_length: uint(0, LIMITS.updateBytesMax),
});

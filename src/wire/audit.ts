// Audit log: one entry an operation, in a hash tree (RFC 6962) whose root the server signs.

import { bytes, message, type Of, oneOf, text, uint } from "../core/shape.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { RUN_ID_BYTES } from "./policy.ts";

/**
 * subject: a device id, a round or a token id in text, never a person. digest: SHA-256 or tree root of what the entry
 * is about. data: the enclave's own audit record for type "enclave.operation", else nothing.
 */
export const auditEntry = message("audit entry", 4096, {
  v: uint(1, 1),
  at: uint(),
  type: oneOf(
    "run.opened",
    "token.created",
    "token.revoked",
    "token.removed",
    "device.enrolled",
    "device.activated",
    "device.rekeyed",
    "device.revoked",
    "server.rotated",
    "round.opened",
    "round.failed",
    "update.accepted",
    "model.published",
    "enclave.operation",
  ),
  subject: text(128),
  digest: bytes(32),
  data: bytes(0, 1024),
});

export const checkpointMessage = message("checkpoint", 512, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  size: uint(),
  root: bytes(32),
  at: uint(),
});

export const signedCheckpoint = message("signed checkpoint", 4096, {
  checkpoint: bytes(1, checkpointMessage.bytesMax),
  signature: bytes(SIGNATURE_SIZES["ML-DSA-44"].signature),
});

/** The enclave's chain: previous is SHA-256 of the record before it, zeros at the start. */
export const enclaveRecord = message("enclave record", 1024, {
  v: uint(1, 1),
  sequence: uint(),
  previous: bytes(32),
  at: uint(),
  operation: oneOf("open", "attest", "genesis", "begin", "update", "aggregate"),
  round: uint(),
  subject: bytes(0, 32),
  outcome: text(64),
});

export type AuditEntry = Of<typeof auditEntry.shape>;
export type AuditType = AuditEntry["type"];
export type EnclaveRecord = Of<typeof enclaveRecord.shape>;

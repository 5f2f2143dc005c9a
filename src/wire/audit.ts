// Audit log: one entry an operation, in a hash tree (RFC 6962) whose root the server signs. Anybody may read it, so
// nothing in it says who a person is, or tells a secret.

import { LIMITS } from "../core/limits.ts";
import { bytes, message, type Of, oneOf, text, uint } from "../core/shape.ts";

/**
 * subject: a device id, a round, a token id, a release or a level of isolation in text, never a person. digest: SHA-256
 * or tree root of what the entry is about; of the enclave's program for "enclave.announced" and "enclave.started".
 * data: what is needed to follow the run by the log alone: the enclave's record for "enclave.operation", its identity
 * for "enclave.started" (also of an epoch that began without a start), the digest of a release's reference values for
 * "enclave.announced", the blob's digest for "update.accepted", the statement for "model.published" and
 * "model.adopted", the verifier key for "key.published", the identity that has ended for "enclave.replaced".
 */
export const auditEntry = message("audit entry", LIMITS.logEntryBytesMax, {
  v: uint(1, 1),
  at: uint(),
  type: oneOf(
    "run.opened",
    "server.started",
    "server.stopped",
    "session.policy",
    "key.published",
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
    "round.committed",
    "update.accepted",
    "model.published",
    "model.adopted",
    "enclave.announced",
    "enclave.started",
    "enclave.replaced",
    "enclave.operation",
  ),
  subject: text(128),
  digest: bytes(32),
  data: bytes(0, 2048),
});

/** The enclave's chain: previous is SHA-256 of the record before it, zeros at the start. */
export const enclaveRecord = message("enclave record", 1024, {
  v: uint(1, 1),
  sequence: uint(),
  previous: bytes(32),
  at: uint(),
  operation: oneOf("open", "rotate", "attest", "genesis", "adopt", "begin", "update", "aggregate"),
  round: uint(),
  subject: bytes(0, 32),
  outcome: text(64),
});

export type AuditEntry = Of<typeof auditEntry.shape>;
export type AuditType = AuditEntry["type"];
export type EnclaveRecord = Of<typeof enclaveRecord.shape>;

// Report of a round, signed by the enclave through the model statement: who was counted, who was not, and why.

import { LIMITS } from "../core/limits.ts";
import { bytes, float, list, message, nullable, type Of, object, oneOf, text, uint } from "../core/shape.ts";
import { BLOB_DIGEST_BYTES } from "../crypto/merkle.ts";
import { DEVICE_ID_BYTES } from "./enroll.ts";
import { AGGREGATION_LENGTH_MAX, RUN_ID_BYTES } from "./policy.ts";

const VERDICT = object({
  device_id: bytes(DEVICE_ID_BYTES),
  /** "passed over": usable, but the rule did not choose it. */
  verdict: oneOf("accepted", "rejected", "passed over"),
  /** Code from the error table for a rejected update. */
  reason: nullable(text(64)),
  examples: uint(),
  weight: float(0),
  /** Euclidean norm of the delta, where it could be read. */
  norm: nullable(float(0)),
  /** Cosine against the coordinate median, where the defence takes it. */
  cosine: nullable(float(-1.000001, 1.000001)),
  /** What the rule made of it, where it scores. */
  score: nullable(float()),
});

const REPUTATION = object({ device_id: bytes(DEVICE_ID_BYTES), reputation: float(0, 1) });

export const reportMessage = message("report", 4 * 1024 * 1024, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  round: uint(1, LIMITS.roundsMax),
  base_digest: bytes(BLOB_DIGEST_BYTES),
  /** What was run: of a preset, the specification that it stood for in this round. */
  aggregation: text(AGGREGATION_LENGTH_MAX),
  updates: list(VERDICT, 0, LIMITS.devicesPerRoundMax),
  reputations: list(REPUTATION, 0, LIMITS.devicesPerRoundMax),
  missing: list(bytes(DEVICE_ID_BYTES), 0, LIMITS.devicesPerRoundMax),
  /** Head of the enclave's own chain of audit records at this moment. */
  enclave_audit_head: bytes(32),
});

export type Report = Of<typeof reportMessage.shape>;
export type Verdict = Of<typeof VERDICT>;
export type Reputation = Of<typeof REPUTATION>;

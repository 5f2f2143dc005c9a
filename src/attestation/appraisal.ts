// Appraisal: whether a device may seal its update to the key in this evidence.

import { equal } from "../core/bytes.ts";
import { leafHash, verifyInclusion } from "../crypto/merkle.ts";
import { readSimulatedEvidence, type SimulatedBody } from "./simulated.ts";

export interface Expectation {
  readonly nowMs: number;
  /** Evidence without hardware behind it: for tests, demonstrations, and sites that trust their server's operator. */
  readonly allowSimulated: boolean;
  readonly runId: Uint8Array;
  readonly policyHash: Uint8Array;
  /** The device's own 32 random bytes of this request, and the proof that the evidence covers them. */
  readonly nonce: Uint8Array;
  readonly nonceIndex: number;
  readonly nonceCount: number;
  readonly noncePath: readonly Uint8Array[];
}

export interface Appraisal {
  readonly ok: boolean;
  /** Why not; empty where ok. */
  readonly reasons: readonly string[];
  /** The enclave's keys and epoch, where ok. */
  readonly enclave?: SimulatedBody;
}

/** Throws message.malformed for bytes that are no evidence at all. */
export function appraise(evidence: Uint8Array, expected: Expectation): Appraisal {
  const fields = readSimulatedEvidence(evidence);
  if (fields === undefined) return { ok: false, reasons: ["its signature or binding does not hold"] };
  const reasons: string[] = [];
  const require = (holds: boolean, reason: string): void => {
    if (!holds) reasons.push(reason);
  };
  require(expected.allowSimulated, "it is simulated, which this device's policy does not allow");
  require(equal(fields.run_id, expected.runId), "it is for another run");
  require(equal(fields.policy_hash, expected.policyHash), "it is for another policy");
  require(fields.not_before <= expected.nowMs, "it is not valid yet");
  require(expected.nowMs <= fields.not_after, "it has expired");
  const leaf = leafHash(expected.nonce);
  const isFresh = verifyInclusion(
    leaf,
    expected.nonceIndex,
    expected.nonceCount,
    expected.noncePath,
    fields.nonce_root,
  );
  require(isFresh, "it does not answer this device's nonce");
  return reasons.length === 0 ? { ok: true, reasons, enclave: fields } : { ok: false, reasons };
}

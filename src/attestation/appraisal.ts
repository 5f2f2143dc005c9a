// Appraisal: whether a device may seal its update to the key in this evidence. On top of what verification finds stands
// what this device expects of its own run. The same way for every kind of evidence.

import { equal, fromUtf8, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";
import { sha512 } from "../crypto/hash.ts";
import { leafHash, verifyInclusion } from "../crypto/merkle.ts";
import { type Binding, bindingMessage, reportData } from "./binding.ts";
import type { Evidence, Verdict } from "./evidence.ts";
import { decodeEvidence } from "./evidence-message.ts";
import type { AppraisalPolicy } from "./policy.ts";
import { ROOTS, type Roots } from "./roots.ts";
import { verifyEvidenceAt } from "./verify.ts";

/** As the server passes it on; nothing of it is trusted. */
export interface Offer {
  readonly evidence: Uint8Array;
  readonly binding: Uint8Array;
  /** What the vendor says about the platform: JSON. null where this kind of evidence needs none. */
  readonly collateral: Uint8Array | null;
  /** Proof that the evidence covers the device's nonce. */
  readonly nonce_index: number;
  readonly nonce_count: number;
  readonly nonce_path: readonly Uint8Array[];
}

export interface Expectation {
  readonly nowMs: number;
  /** Which evidence this device takes: hardware, measurements, simulation. */
  readonly policy: AppraisalPolicy;
  readonly runId: Uint8Array;
  readonly policyHash: Uint8Array;
  /** When its epoch has to last; nowMs by default. */
  readonly epochAtMs?: number;
  /** The device's own 32 random bytes of this request. */
  readonly nonce: Uint8Array;
  /** Vendors' roots; those that are pinned by default. */
  readonly roots?: Roots;
}

export interface Appraisal {
  readonly ok: boolean;
  /** Why not; empty where ok. */
  readonly reasons: readonly string[];
  readonly verdict: Verdict;
  /** The enclave's keys and epoch, where ok. */
  readonly enclave?: Binding;
}

/** Throws message.malformed or message.too_large for what is no evidence at all. */
export function appraise(offer: Offer, expected: Expectation): Appraisal {
  const evidence = decodeEvidence(offer.evidence);
  const binding = bindingMessage.decode(offer.binding);
  const { epochAtMs = expected.nowMs } = expected;
  // What stands in for hardware has no dates but those of the epoch.
  const nowMs = evidence.tee === "simulated" ? epochAtMs : expected.nowMs;
  const verdict = verify(evidence, offer.collateral, { ...expected, nowMs });
  const reasons = [
    ...verdict.reasons,
    ...unmet([
      [binding.tee === verdict.tee, "it is of another kind than it is bound to"],
      [toHex(reportData(binding)) === verdict.reportData, "it is bound to something else than what comes with it"],
      [isSelfSigned(binding, verdict), "it is signed by another key than the enclave's"],
      [binding.not_before <= epochAtMs, "its epoch has not begun"],
      [epochAtMs <= binding.not_after, "its epoch is over"],
      [equal(binding.run_id, expected.runId), "it is for another run"],
      [equal(binding.policy_hash, expected.policyHash), "it is for another policy"],
      [isFresh(binding, offer, expected.nonce), "it does not answer this device's nonce"],
    ]),
  ];
  return reasons.length === 0 ? { ok: true, reasons, verdict, enclave: binding } : { ok: false, reasons, verdict };
}

function unmet(requirements: readonly (readonly [boolean, string])[]): string[] {
  return requirements.filter(([holds]) => !holds).map(([, reason]) => reason);
}

function verify(evidence: Evidence, collateral: Uint8Array | null, expected: Expectation): Verdict {
  const { roots = ROOTS, policy, nowMs } = expected;
  const found = collateral === null ? undefined : parseCollateral(collateral);
  return verifyEvidenceAt(roots, evidence, { nowMs, policy, collateral: found });
}

function parseCollateral(encoded: Uint8Array): unknown {
  try {
    return parseJson(fromUtf8(encoded));
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new QflareError("message.malformed", "collateral: expected JSON with every key once", { cause });
  }
}

/** What stands in for hardware is the enclave's own key. */
function isSelfSigned(binding: Binding, { tee, measurements }: Verdict): boolean {
  return tee !== "simulated" || measurements.signer === toHex(sha512(binding.signature_public_key));
}

function isFresh({ nonce_root }: Binding, offer: Offer, nonce: Uint8Array): boolean {
  return verifyInclusion(leafHash(nonce), offer.nonce_index, offer.nonce_count, offer.nonce_path, nonce_root);
}

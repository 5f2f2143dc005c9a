// What a server asks of its own enclave, here or on another machine, before a run is opened there: evidence that the
// server's policy would take, for what the server would not take it does not show to others; that it is the program
// that this server would start itself; and that the evidence is about the very keys that it was given.

import { appraise, type Offer } from "../attestation/appraisal.ts";
import { type Binding, bindingMessage } from "../attestation/binding.ts";
import type { Evidence } from "../attestation/evidence.ts";
import type { AppraisalPolicy } from "../attestation/policy.ts";
import type { Roots } from "../attestation/roots.ts";
import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { EnclaveAnswer } from "../wire/enclave.ts";
import { policyHash, policyMessage } from "../wire/policy.ts";

/** How a server takes the evidence of its own enclave. */
export interface OwnEvidence {
  /** What it has to meet. */
  readonly policy: AppraisalPolicy;
  /** Whose signatures count as the vendors'. */
  readonly roots: Roots;
  /** What the vendor says about the platform, as JSON; null where there is none. Asked for each time. */
  collateral(): Uint8Array<ArrayBuffer> | null;
  /** Told of the evidence before it is judged, so that collateral can be fetched for it. */
  keep(evidence: Evidence): void;
}

export interface Asked {
  readonly nowMs: number;
  /** Whether its epoch began before: it may be over, and is renewed before devices are shown anything of it. */
  readonly isResumed: boolean;
  readonly nonce: Uint8Array;
  /** The run's, as it was sent. */
  readonly policy: Uint8Array;
}

/** Throws evidence.refused. */
export function requireOwnEvidence(own: OwnEvidence, offer: Offer, asked: Asked): Binding {
  const { nowMs, isResumed, nonce, policy } = asked;
  const { reasons, enclave } = appraise(offer, {
    nowMs,
    epochAtMs: isResumed ? Math.min(nowMs, bindingMessage.decode(offer.binding).not_after) : nowMs,
    policy: own.policy,
    runId: policyMessage.decode(policy).run_id,
    policyHash: policyHash(policy),
    nonce,
    roots: own.roots,
  });
  if (enclave === undefined) throw new QflareError("evidence.refused", `this server's own: ${reasons.join("; ")}`);
  return enclave;
}

/** Throws evidence.refused. enclave: what its evidence is bound to. programDigest: of this server's version. */
export function requireOwnEnclave(enclave: Binding, opened: EnclaveAnswer<"open">, programDigest: Uint8Array): void {
  if (!equal(enclave.code_log_entry, programDigest)) {
    throw new QflareError("evidence.refused", "it runs another program than this server's version of the enclave");
  }
  const isAboutIt =
    equal(enclave.kem_public_key, opened.kem_public_key) &&
    equal(enclave.signature_public_key, opened.signature_public_key) &&
    enclave.epoch === opened.epoch &&
    enclave.tee === opened.tee;
  if (!isAboutIt) throw new QflareError("evidence.refused", "it is about another enclave than has shown itself");
}

// Whether this device may seal to an enclave of any hardware: its evidence is genuine and what the device's policy
// wants, bound to the keys, policy and dates that come with it and to the device's own nonce, and the audit log names
// that enclave and that program. The log is the one whose checkpoint the device keeps, so that a server cannot show one
// enclave to this device and another to the rest without both being there for all to see. An enclave that comes after
// another must be its successor.

import { appraise } from "../attestation/appraisal.ts";
import type { Binding } from "../attestation/binding.ts";
import type { Verdict } from "../attestation/evidence.ts";
import type { AppraisalPolicy } from "../attestation/policy.ts";
import type { Roots } from "../attestation/roots.ts";
import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { leafHash, verifyInclusion } from "../crypto/merkle.ts";
import { auditEntry } from "../wire/audit.ts";
import type { Checkpoint } from "../wire/checkpoint.ts";
import { enclaveIdentity } from "../wire/enclave-identity.ts";
import { type Policy, policyHash, policyMessage } from "../wire/policy.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { EvidencePackage } from "../wire/work.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What was checked about an enclave, once an epoch. */
export interface TrustedEnclave {
  readonly binding: Binding;
  readonly verdict: Verdict;
  readonly keyHash: Bytes;
  readonly policy: Policy;
  readonly policyHash: Bytes;
}

export interface TrustPorts {
  readonly nowMs: number;
  readonly runId: Bytes;
  readonly nonce: Bytes;
  readonly evidencePolicy: AppraisalPolicy;
  readonly roots: Roots;
  readonly updatesMin: number;
  /** Of the audit log that this device follows. */
  readonly checkpoint: Checkpoint;
}

/** Throws evidence.refused or log.*: the device then seals nothing. */
export function trustEnclave(offered: EvidencePackage, ports: TrustPorts): TrustedEnclave {
  const enclave = judge(offered, ports);
  const { policy } = enclave;
  if (policy.updates_min < ports.updatesMin) {
    throw new QflareError(
      "evidence.refused",
      `it aggregates ${policy.updates_min} updates, wanted ${ports.updatesMin}`,
    );
  }
  requireLogged(offered, enclave.binding, ports.checkpoint);
  return enclave;
}

function judge(offered: EvidencePackage, ports: TrustPorts): TrustedEnclave {
  const hash = policyHash(offered.policy);
  const { nowMs, runId, nonce, evidencePolicy, roots } = ports;
  const expected = { nowMs, policy: evidencePolicy, runId, policyHash: hash, nonce, roots };
  const { reasons, verdict, enclave } = appraise(offered, expected);
  // Anybody can run a program of his own on genuine hardware.
  const isNamed = verdict.tee === "simulated" || evidencePolicy.allowed_measurements !== undefined;
  const all = isNamed ? reasons : [...reasons, "the device's policy names no measurement"];
  if (enclave === undefined || all.length > 0) throw new QflareError("evidence.refused", all.join("; "));
  const policy = policyMessage.decode(offered.policy);
  return { binding: enclave, verdict, keyHash: epochKeyHash(enclave.kem_public_key), policy, policyHash: hash };
}

/** The entry is about this enclave and program, and stands in the log that this device follows. */
function requireLogged(offered: EvidencePackage, binding: Binding, { size, root }: Checkpoint): void {
  const { log_entry, log_index, log_path } = offered;
  const { type, digest, data } = auditEntry.decode(log_entry);
  const isAboutIt =
    type === "enclave.started" && equal(digest, binding.code_log_entry) && equal(data, enclaveIdentity(binding));
  if (!isAboutIt) throw new QflareError("evidence.refused", "the audit log's entry is about another enclave");
  if (!verifyInclusion(leafHash(log_entry), log_index, size, log_path, root)) {
    throw new QflareError("log.fork", `entry ${log_index} is not proved`);
  }
}

/**
 * Epochs go forward, each has one key, and an identity ends only with its epoch: an enclave that was put back to an
 * earlier state is refused. Returns whether the identity is a new one.
 */
export function requireSuccessor(before: Binding, enclave: Binding): boolean {
  const isSameIdentity = equal(enclave.signature_public_key, before.signature_public_key);
  const isSame = isSameIdentity && equal(enclave.kem_public_key, before.kem_public_key);
  if (enclave.epoch < before.epoch || (enclave.epoch === before.epoch && !isSame)) {
    const fact = `expected epoch ${before.epoch} as it was or a later one, got another ${enclave.epoch}`;
    throw new QflareError("evidence.refused", fact);
  }
  return !isSameIdentity;
}

// Whether this device may seal to an enclave of any hardware: its evidence is genuine and what the device's policy
// wants, bound to the keys, policy and dates that come with it and to the device's own nonce, and the audit log names
// that enclave and that program. The log is the one whose checkpoint the device keeps, so that a server cannot show one
// enclave to this device and another to the rest without both being there for all to see. An enclave that comes after
// another must be its successor, and a program that is not the run's first must have been announced.

import { appraise } from "../attestation/appraisal.ts";
import type { Binding } from "../attestation/binding.ts";
import type { Verdict } from "../attestation/evidence.ts";
import type { AppraisalPolicy } from "../attestation/policy.ts";
import {
  notOfRelease,
  type ReferenceValues,
  readReferenceValues,
  referenceDigest,
} from "../attestation/reference-values.ts";
import type { Roots } from "../attestation/roots.ts";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { leafHash, verifyInclusion } from "../crypto/merkle.ts";
import { auditEntry } from "../wire/audit.ts";
import type { Checkpoint } from "../wire/checkpoint.ts";
import { enclaveIdentity } from "../wire/enclave-identity.ts";
import { type Policy, policyHash, policyMessage } from "../wire/policy.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { Announcement, EvidencePackage } from "../wire/work.ts";
import type { EnclavePin } from "./enclave-pin.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What was checked about an enclave, once an epoch. */
export interface TrustedEnclave {
  readonly binding: Binding;
  readonly verdict: Verdict;
  readonly keyHash: Bytes;
  readonly policy: Policy;
  readonly policyHash: Bytes;
  /** Whether its identity is another one than that of the enclave before. */
  readonly isReplacement: boolean;
}

/** Whose releases this device takes, and the reference values that it has been given of them. */
export interface Releases {
  /** SHA-256 of the release key. */
  readonly keyHash: Uint8Array;
  /** Files as qflare enclave measure signs them; others come with an announcement. */
  readonly references: readonly string[];
}

export interface TrustPorts {
  readonly nowMs: number;
  readonly runId: Bytes;
  readonly nonce: Bytes;
  readonly evidencePolicy: AppraisalPolicy;
  readonly roots: Roots;
  readonly releases: Releases | undefined;
  readonly updatesMin: number;
  /** Of the audit log that this device follows. */
  readonly checkpoint: Checkpoint;
  readonly pin: EnclavePin;
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
  const { code_log_entry: program } = enclave.binding;
  const announced_at = offered.announcement?.log_index ?? null;
  const isReplacement = ports.pin.take({ program, announced_at, identity: enclaveIdentity(enclave.binding) });
  return { ...enclave, isReplacement };
}

function judge(offered: EvidencePackage, ports: TrustPorts): Omit<TrustedEnclave, "isReplacement"> {
  const hash = policyHash(offered.policy);
  const { nowMs, runId, nonce, evidencePolicy, roots } = ports;
  const expected = { nowMs, policy: evidencePolicy, runId, policyHash: hash, nonce, roots };
  const { reasons, verdict, enclave } = appraise(offered, expected);
  const all = isMeasured(verdict, ports) ? reasons : [...reasons, "the device's policy names no measurement"];
  if (enclave === undefined || all.length > 0) throw new QflareError("evidence.refused", all.join("; "));
  if (ports.releases !== undefined) requireReleased(offered, { enclave, verdict }, ports.releases, nowMs);
  const policy = policyMessage.decode(offered.policy);
  return { binding: enclave, verdict, keyHash: epochKeyHash(enclave.kem_public_key), policy, policyHash: hash };
}

/**
 * Anybody can run a program of his own on genuine hardware. What a release measures of a TDX domain is its firmware
 * alone: which kernel and program follow, only the policy can name.
 */
function isMeasured({ tee }: Verdict, { evidencePolicy, releases }: TrustPorts): boolean {
  if (tee === "simulated" || evidencePolicy.allowed_measurements !== undefined) return true;
  return releases !== undefined && tee !== "tdx";
}

/** By any of the values that the device was given, or by those that the log announces. */
function requireReleased(
  offered: EvidencePackage,
  judged: Judged,
  { keyHash, references }: Releases,
  nowMs: number,
): void {
  const { announcement } = offered;
  const files = announcement === null ? references : [...references, announcement.reference];
  const refusals = files.map((file) => refusalBy(() => readReferenceValues(file, keyHash, nowMs), judged));
  if (refusals.includes("none")) return;
  // What speaks of other programs says nothing about this one.
  const reason = refusals.find((refusal) => refusal instanceof QflareError);
  throw reason ?? new QflareError("evidence.refused", "no reference values are known of its program");
}

interface Judged {
  readonly enclave: Binding;
  readonly verdict: Verdict;
}

/** Of one file. One that has expired, or is damaged, vouches for nothing and is in no other's way. */
function refusalBy(read: () => ReferenceValues, { enclave, verdict }: Judged): "none" | "other program" | QflareError {
  let values: ReferenceValues;
  try {
    values = read();
  } catch (error) {
    if (error instanceof QflareError) return error;
    throw error;
  }
  if (!equal(values.program, enclave.code_log_entry)) return "other program";
  const refusal = notOfRelease(values, enclave, verdict);
  return refusal === undefined ? "none" : new QflareError("evidence.refused", refusal);
}

/** The entry is about this enclave and program, and stands in the log that this device follows. */
function requireLogged(offered: EvidencePackage, binding: Binding, checkpoint: Checkpoint): void {
  const { log_entry, log_index, announcement } = offered;
  const { type, digest, data } = auditEntry.decode(log_entry);
  const isAboutIt =
    type === "enclave.started" && equal(digest, binding.code_log_entry) && equal(data, enclaveIdentity(binding));
  if (!isAboutIt) throw new QflareError("evidence.refused", "the audit log's entry is about another enclave");
  requireProved(offered, checkpoint);
  if (announcement === null) requireFirst(offered, binding, checkpoint);
  else requireAnnounced(announcement, log_index, binding, checkpoint);
}

/** Where a run's log begins: with its first enclave. */
const FIRST_INDEX = 0;

/** What was not announced is the run's first program. */
function requireFirst({ first }: EvidencePackage, { code_log_entry }: Binding, checkpoint: Checkpoint): void {
  if (first === null) throw new QflareError("evidence.refused", "nothing shows that its program is the run's first");
  const { type, digest } = auditEntry.decode(first.log_entry);
  if (type !== "enclave.started" || !equal(digest, code_log_entry)) {
    const expected = `expected program ${toHex(digest)} or one that the audit log announces`;
    throw new QflareError("evidence.refused", `${expected}, got ${toHex(code_log_entry)}`);
  }
  requireProved({ ...first, log_index: FIRST_INDEX }, checkpoint);
}

/** The entry is about this program and these reference values, and stands in the log before the program's start. */
function requireAnnounced(
  announcement: Announcement,
  startedAt: number,
  { code_log_entry }: Binding,
  checkpoint: Checkpoint,
): void {
  const { type, digest, data } = auditEntry.decode(announcement.log_entry);
  const isAboutIt =
    type === "enclave.announced" &&
    equal(digest, code_log_entry) &&
    equal(data, referenceDigest(announcement.reference));
  if (!isAboutIt) throw new QflareError("evidence.refused", "the audit log announces another program or release");
  if (announcement.log_index >= startedAt) {
    throw new QflareError("evidence.refused", "its program was announced after its start");
  }
  requireProved(announcement, checkpoint);
}

type LoggedEntry = Pick<Announcement, "log_entry" | "log_index" | "log_path">;

function requireProved({ log_entry, log_index, log_path }: LoggedEntry, { size, root }: Checkpoint): void {
  if (verifyInclusion(leafHash(log_entry), log_index, size, log_path, root)) return;
  throw new QflareError("log.fork", `entry ${log_index} is not proved`);
}

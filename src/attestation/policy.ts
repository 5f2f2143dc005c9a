// Appraisal policy: which genuine evidence is good enough. An object as its JSON file has it; a member that is left out
// takes its default, and an unknown one is refused, since a misspelt rule is no rule.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { entriesOf, list, oneOf, type Shape, text, uint } from "../core/shape.ts";
import { type Claims, TCB_STATUSES, TEES } from "./evidence.ts";
import type { Findings } from "./findings.ts";

const HEX = /^[0-9a-f]+$/;
const NAME = /^[a-z][a-z0-9_]*$/;
const NAME_LENGTH_MAX = 64;
const VALUE_LENGTH_MAX = 4096;
const YEAR_S = LIMITS.evidenceAgeMsMax / 1000;
const VMPL_MAX = 3;
const DAY_MS = 86_400_000;

/** A measurement, or several by name that must hold together. */
export type AllowedMeasurement = string | Readonly<Record<string, string>>;

export interface AppraisalPolicy {
  /** Any of these. Left out: every measurement, so that the caller must judge the one in the verdict. */
  readonly allowed_measurements?: readonly AllowedMeasurement[];
  /** Least security version of each named component, by kind of hardware. */
  readonly minimum_tcb?: Readonly<Partial<Record<(typeof TEES)[number], Readonly<Record<string, number>>>>>;
  /** TDX, SGX: since when the platform's level is known, at least: "2024-03-13". */
  readonly minimum_tcb_date?: string;
  /** TDX, SGX: default ["UpToDate"]. A revoked platform cannot be allowed. */
  readonly allowed_statuses?: readonly string[];
  /** TDX, SGX: every advisory of the platform must be among these. Left out: its status decides alone. */
  readonly allowed_advisories?: readonly string[];
  /** SEV-SNP: default 0, the most privileged level of the guest. */
  readonly vmpl?: number;
  /** Seconds since the document (Nitro, simulated) or the collateral (TDX, SGX) was made. SEV-SNP carries no time. */
  readonly maximum_age_s?: number;
  /** What the enclave must have bound, in hexadecimal. */
  readonly report_data?: string;
  /** SEV-SNP: default false; true refuses evidence that comes without a revocation list. TDX, SGX always need one. */
  readonly require_revocation_list?: boolean;
  /** SEV-SNP, TDX: default false; whether another machine may take over the memory. */
  readonly allow_migration?: boolean;
  /** Default false. */
  readonly allow_simulated?: boolean;
}

const flag: Shape<boolean> = {
  read: (value, path) => (typeof value === "boolean" ? value : refuse(path, "true or false")),
  schema: { type: "boolean" },
  words: "true or false",
};

function refuse(path: string, expected: string): never {
  throw new QflareError("message.malformed", `${path}: expected ${expected}`);
}

/** An object whose keys are free. */
function record<T>(key: Shape<string>, value: Shape<T>): Shape<Record<string, T>> {
  const words = `object, of ${value.words} by ${key.words}`;
  return {
    read: (found, path) => {
      const entries = entriesOf(found);
      if (entries === undefined || entries.length === 0 || entries.length > LIMITS.policyEntriesMax) {
        refuse(path, words);
      }
      return Object.fromEntries(
        entries.map(([name, entry]) => [key.read(name, path), value.read(entry, `${path}.${name}`)]),
      );
    },
    schema: { type: "object", additionalProperties: value.schema },
    words,
  };
}

const hex = text(VALUE_LENGTH_MAX, HEX);
const name = text(NAME_LENGTH_MAX, NAME);
const namedTexts = record(name, text(VALUE_LENGTH_MAX));
/** Of Nitro, and of simulated evidence; every other measurement is bytes. */
const WORDS: readonly string[] = ["module_id", "isolation"];

const named: Shape<Record<string, string>> = {
  ...namedTexts,
  read: (value, path) => {
    const found = namedTexts.read(value, path);
    for (const [key, entry] of Object.entries(found)) if (!WORDS.includes(key)) hex.read(entry, `${path}.${key}`);
    return found;
  },
};

const measurement: Shape<AllowedMeasurement> = {
  read: (value, path) => (typeof value === "string" ? hex.read(value, path) : named.read(value, path)),
  schema: { oneOf: [hex.schema, named.schema] },
  words: `${hex.words}, or ${named.words}`,
};

const dateText = text(10, /^\d{4}-\d\d-\d\d$/);

/** Date.parse takes the 31st of February for a day in March. */
const date: Shape<string> = {
  ...dateText,
  read: (value, path) => {
    const day = dateText.read(value, path);
    const [year, month, dayOfMonth] = day.split("-").map(Number) as [number, number, number];
    const daysOfMonth = (Date.UTC(year, month) - Date.UTC(year, month - 1)) / DAY_MS;
    const isDay = month >= 1 && month <= 12 && dayOfMonth >= 1 && dayOfMonth <= daysOfMonth;
    return isDay ? day : refuse(path, "a day of the calendar");
  },
};

const statuses = TCB_STATUSES.filter((status) => status !== "Revoked");

/** The one table of members: docs/attestation.md has a row for each. */
export const POLICY_MEMBERS: { readonly [K in keyof AppraisalPolicy]-?: Shape<unknown> } = {
  allowed_measurements: list(measurement, 1, LIMITS.policyEntriesMax),
  minimum_tcb: record(oneOf(...TEES), record(name, uint(0))),
  minimum_tcb_date: date,
  allowed_statuses: list(oneOf(...statuses), 1, statuses.length),
  allowed_advisories: list(text(NAME_LENGTH_MAX), 0, LIMITS.policyEntriesMax),
  vmpl: uint(0, VMPL_MAX),
  maximum_age_s: uint(1, YEAR_S),
  report_data: hex,
  require_revocation_list: flag,
  allow_migration: flag,
  allow_simulated: flag,
};

/** A Date or a Map is an object too, and without a member of its own would be the policy of all defaults. */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Object.prototype, that of another realm included.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Throws config.invalid for anything that is not a policy. */
export function readPolicy(value: unknown): AppraisalPolicy {
  const entries = isPlain(value) ? entriesOf(value) : undefined;
  if (entries === undefined) throw new QflareError("config.invalid", "appraisal policy: expected an object");
  try {
    return Object.fromEntries(entries.map(([member, found]) => [member, readMember(member, found)]));
  } catch (cause) {
    if (!(cause instanceof QflareError)) throw cause;
    throw new QflareError("config.invalid", `appraisal policy: ${cause.message}`, { cause });
  }
}

function readMember(member: string, value: unknown): unknown {
  if (!Object.hasOwn(POLICY_MEMBERS, member)) refuse(member, "no such member");
  return POLICY_MEMBERS[member as keyof AppraisalPolicy].read(value, member);
}

function isAllowed({ measurement: own, measurements }: Claims, allowed: AllowedMeasurement): boolean {
  if (typeof allowed === "string") return allowed === own;
  return Object.entries(allowed).every(
    ([key, value]) => Object.hasOwn(measurements, key) && measurements[key] === value,
  );
}

function requireTcb(findings: Findings, claims: Claims, policy: AppraisalPolicy): void {
  for (const [component, least] of Object.entries(policy.minimum_tcb?.[claims.tee] ?? {})) {
    const found = Object.hasOwn(claims.tcb, component) ? claims.tcb[component] : undefined;
    findings.require(
      found !== undefined && found >= least,
      `policy: expected ${component} of at least ${least}, got ${found ?? "none"}`,
    );
  }
  if (claims.tee !== "tdx" && claims.tee !== "sgx") return;
  const { tcbStatus = "unknown", tcbDateMs = Number.NEGATIVE_INFINITY, advisories = [] } = claims;
  const allowed = policy.allowed_statuses ?? ["UpToDate"];
  findings.require(allowed.includes(tcbStatus), `policy: TCB status ${tcbStatus} is not allowed`);
  const { minimum_tcb_date: date, allowed_advisories: known } = policy;
  findings.require(date === undefined || tcbDateMs >= Date.parse(date), `policy: the TCB level is older than ${date}`);
  const open = advisories.filter((advisory) => known !== undefined && !known.includes(advisory));
  findings.require(open.length === 0, `policy: not allowed advisories: ${open.join(", ")}`);
}

function requireAge(findings: Findings, { tee, issuedMs }: Claims, ageMaxS: number, nowMs: number): void {
  if (issuedMs === undefined) {
    findings.require(false, `policy: evidence of ${tee} has no age`);
    return;
  }
  findings.require(nowMs - issuedMs <= 1000 * ageMaxS, `policy: older than ${ageMaxS} s`);
  findings.require(issuedMs - nowMs <= LIMITS.clockSkewMsMax, "policy: made in the future");
}

/** Debug mode is never good enough: whoever runs the machine reads the memory. */
export function requirePolicy(findings: Findings, claims: Claims, policy: AppraisalPolicy, nowMs: number): void {
  const { allowed_measurements: allowed, report_data: bound } = policy;
  findings.require(!claims.debug, "it runs in debug mode");
  findings.require(
    claims.tee !== "simulated" || policy.allow_simulated === true,
    "it is simulated, which the policy does not allow",
  );
  findings.require(
    allowed === undefined || allowed.some((one) => isAllowed(claims, one)),
    `policy: measurement ${claims.measurement} is not allowed`,
  );
  findings.require(bound === undefined || bound === claims.reportData, "policy: it is bound to other report data");
  const vmpl = policy.vmpl ?? 0;
  findings.require((claims.vmpl ?? vmpl) === vmpl, `policy: expected VMPL ${vmpl}, got ${claims.vmpl}`);
  findings.require(policy.allow_migration === true || !claims.isMigratable, "policy: its memory may be migrated");
  const needsList = policy.require_revocation_list === true && claims.tee === "sev-snp";
  findings.require(!needsList || claims.isRevocationChecked, "policy: expected a revocation list, got none");
  if (policy.maximum_age_s !== undefined) requireAge(findings, claims, policy.maximum_age_s, nowMs);
  requireTcb(findings, claims, policy);
}

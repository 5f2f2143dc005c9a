// One way through every kind of evidence: read, compare, and list what has yet to be checked. The verifiers of hardware
// stand here; that of simulated evidence needs ML-DSA at once and comes as an argument where there is one.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Claims, Evidence, Verdict } from "./evidence.ts";
import { Findings } from "./findings.ts";
import { type AppraisalPolicy, readPolicy, requirePolicy } from "./policy.ts";
import type { Roots } from "./roots.ts";
import { collectNitro } from "./verify-nitro.ts";
import { collectQuote } from "./verify-quote.ts";
import { collectSevSnp, type SevSnpCollateral } from "./verify-sev-snp.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface VerificationOptions {
  /** Certificates, collateral and documents must be in force at this time. */
  readonly now: Date;
  /** Left out: every default of AppraisalPolicy. */
  readonly policy?: AppraisalPolicy;
  /** QuoteCollateral for TDX and SGX, SevSnpCollateral for SEV-SNP. */
  readonly collateral?: unknown;
}

/** Claims of simulated evidence; undefined, with a finding, where it does not hold. */
export type CollectSimulated = (document: Bytes, nowMs: number, findings: Findings) => Claims | undefined;

export interface Collected {
  readonly evidence: Evidence;
  readonly claims: Claims | undefined;
  readonly findings: Findings;
}

function refuse(name: string, expected: string): never {
  throw new QflareError("evidence.malformed", `${name}: expected ${expected}`);
}

/** A copy: what was checked stays what is read. */
function copyOf(bytes: unknown, name: string): Bytes {
  if (!(bytes instanceof Uint8Array)) refuse(name, "a Uint8Array");
  if (bytes.length <= LIMITS.evidenceBytesMax) return new Uint8Array(bytes);
  return refuse(name, `at most ${LIMITS.evidenceBytesMax} bytes, got ${bytes.length}`);
}

function copiesOf(list: unknown, name: string): Bytes[] {
  if (!Array.isArray(list)) refuse(name, "a list");
  if (list.length > LIMITS.certificatesMax) refuse(name, `at most ${LIMITS.certificatesMax}, got ${list.length}`);
  // Not list.map, which would leave out what is missing.
  return Array.from(list, (bytes, i) => copyOf(bytes, `${name}[${i}]`));
}

function sevSnpCollateral(value: unknown): SevSnpCollateral | undefined {
  const isNone = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  if (value === undefined || value === null || isNone) return undefined;
  const list = (value as SevSnpCollateral).ark_crl;
  if (typeof list === "string" && list.length <= LIMITS.collateralBytesMax) return { ark_crl: list };
  return refuse("collateral", "the revocation list of AMD's root as ark_crl");
}

function claimsOf(
  evidence: Evidence,
  collateral: unknown,
  roots: Roots,
  nowMs: number,
  findings: Findings,
  simulated: CollectSimulated,
): Claims | undefined {
  switch (evidence.tee) {
    case "sev-snp": {
      const certificates = copiesOf(evidence.certificates, "certificates");
      const parts = { report: copyOf(evidence.report, "report"), certificates };
      return collectSevSnp(parts, sevSnpCollateral(collateral), roots, nowMs, findings);
    }
    case "tdx":
    case "sgx": {
      const parts = { tee: evidence.tee, quote: copyOf(evidence.quote, "quote") };
      return collectQuote(parts, collateral, roots, nowMs, findings);
    }
    case "nitro":
      return collectNitro({ document: copyOf(evidence.document, "document") }, roots, nowMs, findings);
    case "simulated":
      return simulated(copyOf(evidence.document, "document"), nowMs, findings);
    default:
      throw new QflareError("evidence.malformed", "expected a known kind of hardware");
  }
}

/** Milliseconds since 1970. Throws TypeError for what is no time. */
export function timeOf({ now }: VerificationOptions): number {
  const nowMs = now instanceof Date ? now.getTime() : Number.NaN;
  if (Number.isNaN(nowMs)) throw new TypeError("now: expected a valid Date");
  return nowMs;
}

export interface Circumstances extends Omit<VerificationOptions, "now"> {
  readonly nowMs: number;
}

/** Throws TypeError for evidence that is no object, config.invalid for what is not a policy. */
export function collect(
  evidence: Evidence,
  options: Circumstances,
  roots: Roots,
  simulated: CollectSimulated,
): Collected {
  if (typeof evidence !== "object" || evidence === null) throw new TypeError("evidence: expected an object");
  const { nowMs, policy: given = {} } = options;
  const policy = readPolicy(given);
  const findings = new Findings();
  try {
    const claims = claimsOf(evidence, options.collateral, roots, nowMs, findings, simulated);
    if (claims !== undefined) requirePolicy(findings, claims, policy, nowMs);
    return { evidence, claims, findings };
  } catch (error) {
    // Hostile evidence is a verdict like any other, whether its bytes are wrong or its members.
    if (!(error instanceof QflareError)) throw error;
    findings.require(false, error.message);
    return { evidence, claims: undefined, findings };
  }
}

/** failed: reasons of the checks that did not hold. */
export function verdictOf({ evidence, claims, findings }: Collected, failed: readonly string[]): Verdict {
  const reasons = [...findings.reasons, ...new Set(failed)];
  if (claims === undefined) {
    return { ok: false, tee: evidence.tee, measurement: "", measurements: {}, reportData: "", debug: false, reasons };
  }
  const { tee, measurement, measurements, reportData, debug, tcbStatus, advisories } = claims;
  return {
    ...{ ok: reasons.length === 0, tee, measurement, measurements, reportData, debug },
    ...(tcbStatus === undefined ? {} : { tcbStatus }),
    ...(advisories === undefined ? {} : { advisories }),
    reasons,
  };
}

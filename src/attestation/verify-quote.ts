// Intel SGX and TDX. The chain of trust: root -> platform's key (PCK) -> quoting enclave's report -> attestation key ->
// quote. How good the platform and the quoting enclave are, the collateral says.

import { concat, fromBase64, fromHex, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { requireChain, requireLeaf } from "./chain.ts";
import { type CheckedCollateral, CollateralReader, readQuoteCollateral } from "./collateral.ts";
import type { Claims } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { isZero } from "./layout.ts";
import { type PlatformCertificate, readPlatformCertificate } from "./platform-certificate.ts";
import { type Quote, readQuote } from "./quote.ts";
import type { Roots } from "./roots.ts";
import { isDebug as isSgxDebug, readSgxReport, type SgxReport } from "./sgx-report.ts";
import { converge, matchModule, matchPlatform, matchQuotingEnclave, type TcbLevel } from "./tcb.ts";
import { isMigratable, isDebug as isTdDebug, readTdReport, type TdReport } from "./td-report.ts";
import { type Certificate, readCertificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CHAIN_LENGTH = 3;
const TCB_INFO_VERSION = 3;

// SubjectPublicKeyInfo of a P-256 key (RFC 5480), up to x and y.
const P256_PREFIX = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";

function requireQuoteSignatures(findings: Findings, quote: Quote, leaf: Certificate, qe: SgxReport): void {
  const algorithm = "ECDSA-P256-SHA256";
  findings.requireSignature({
    ...{ algorithm, publicKey: leaf.publicKey, message: quote.qeReport, signature: quote.qeReportSignature },
    reason: "quoting enclave: its report's signature does not hold",
  });
  // The quoting enclave vouches for the attestation key by its report data.
  findings.requireDigest({
    message: concat(quote.attestationKey, quote.qeAuthenticationData),
    digest: qe.reportData.subarray(0, 32),
    reason: "quoting enclave: its report is for another attestation key",
  });
  findings.require(isZero(qe.reportData.subarray(32)), "quoting enclave: its report is for another attestation key");
  const publicKey = concat(fromHex(P256_PREFIX)!, quote.attestationKey);
  const { signed: message, signature } = quote;
  findings.requireSignature({ algorithm, publicKey, message, signature, reason: "quote: its signature does not hold" });
}

function readChain({ certificates }: Quote): [Certificate, Certificate, Certificate] {
  const chain = certificates.map((der, i) => readCertificate(der, `PCK certificate ${i}`));
  if (chain.length === CHAIN_LENGTH) return chain as [Certificate, Certificate, Certificate];
  const fact = `expected a chain of ${CHAIN_LENGTH} certificates, got ${chain.length}`;
  throw new QflareError("evidence.malformed", `quote: ${fact}`);
}

interface Parts {
  readonly quote: Quote;
  readonly platform: PlatformCertificate;
  readonly qe: SgxReport;
  readonly td: TdReport | undefined;
}

/** The level that all parts together reach; undefined, with a finding, where one of them is unknown. */
function matchTcb(findings: Findings, { tcbInfo, qeIdentity }: CheckedCollateral, parts: Parts): TcbLevel | undefined {
  const { quote, platform, qe, td } = parts;
  const isTdx = quote.tee === "tdx";
  const version = tcbInfo.number("version");
  findings.require(tcbInfo.text("id") === (isTdx ? "TDX" : "SGX"), "tcb_info: it is for another TEE");
  findings.require(version === TCB_INFO_VERSION, `tcb_info: expected version ${TCB_INFO_VERSION}, got ${version}`);
  findings.require(qeIdentity.text("id") === (isTdx ? "TD_QE" : "QE"), "qe_identity: it is for another enclave");
  const isPlatform =
    toHex(tcbInfo.bytes("fmspc", 6)) === platform.fmspc && toHex(tcbInfo.bytes("pceId", 2)) === platform.pceId;
  findings.require(isPlatform, "tcb_info: it is for another platform");

  const platformLevel = matchPlatform(tcbInfo, platform, td);
  findings.require(platformLevel !== undefined, "TCB: the platform reaches no known level");
  const qeLevel = matchQuotingEnclave(qeIdentity, qe);
  findings.require(qeLevel !== undefined, "TCB: the quoting enclave is not a known one");
  const moduleLevel = td === undefined ? "none" : matchModule(tcbInfo, td);
  findings.require(moduleLevel !== undefined, "TCB: the TDX module is not a known one");
  if (platformLevel === undefined || qeLevel === undefined || moduleLevel === undefined) return undefined;
  return converge(platformLevel, qeLevel, ...(moduleLevel === "none" ? [] : [moduleLevel]));
}

/** Level and date by the collateral; findings where it is missing, unreadable or does not hold. */
function appraiseTcb(
  findings: Findings,
  reader: () => CollateralReader,
  chain: readonly Certificate[],
  parts: Parts,
): Pick<Claims, "tcbStatus" | "tcbDateMs" | "advisories" | "issuedMs" | "isRevocationChecked"> {
  try {
    const collateral = reader();
    collateral.requirePlatform(chain);
    const checked = collateral.read();
    const level = matchTcb(findings, checked, parts);
    const facts = { issuedMs: checked.issuedMs, isRevocationChecked: true };
    if (level === undefined) return facts;
    return { ...facts, tcbStatus: level.status, tcbDateMs: level.dateMs, advisories: level.advisories };
  } catch (error) {
    if (!(error instanceof QflareError)) throw error;
    findings.require(false, error.message);
    return { isRevocationChecked: false };
  }
}

/** Throws evidence.malformed for a quote that cannot be read. */
export function collectQuote(
  evidence: { readonly tee: "tdx" | "sgx"; readonly quote: Bytes },
  collateral: unknown,
  roots: Roots,
  nowMs: number,
  findings: Findings,
): Claims {
  const quote = readQuote(evidence.quote);
  if (quote.tee !== evidence.tee) {
    throw new QflareError("evidence.malformed", `quote: expected one of ${evidence.tee}, got ${quote.tee}`);
  }
  const { length } = quote.trailing;
  findings.require(length === 0, `quote: ${length} trailing bytes`);
  const chain = readChain(quote);
  const [leaf] = chain;
  requireChain(findings, chain, readCertificate(fromBase64(roots.intel), "pinned root"), nowMs, "PCK");
  requireLeaf(findings, leaf, "PCK");
  const qe = readSgxReport(quote.qeReport);
  requireQuoteSignatures(findings, quote, leaf, qe);
  findings.require(!isSgxDebug(qe), "quoting enclave: it runs in debug mode");

  const td = quote.tee === "tdx" ? readTdReport(quote.body) : undefined;
  const platform = readPlatformCertificate(leaf);
  const reader = (): CollateralReader =>
    new CollateralReader(readQuoteCollateral(collateral), roots.intel, nowMs, findings);
  const tcb = appraiseTcb(findings, reader, chain, { quote, platform, qe, td });
  const claims = td === undefined ? sgxClaims(readSgxReport(quote.body)) : tdxClaims(td);
  return { ...claims, tcb: { ...platformTcb(platform), ...claims.tcb }, ...tcb };
}

/** Security versions by the names of Intel's TCB info, counted from 1. */
function platformTcb({ componentSvns, pceSvn }: PlatformCertificate): Record<string, number> {
  return { ...numbered("sgx", componentSvns), pcesvn: pceSvn };
}

function numbered(name: string, svns: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(Array.from(svns, (svn, i) => [`${name}_${i + 1}`, svn]));
}

type BodyClaims = Omit<Claims, "isRevocationChecked">;

function tdxClaims(td: TdReport): BodyClaims {
  const hexed = Object.entries(td.registers).map(([name, value]) => [name, toHex(value)]);
  return {
    tee: "tdx",
    measurement: toHex(td.mrTd),
    measurements: Object.fromEntries(hexed),
    reportData: toHex(td.reportData),
    debug: isTdDebug(td),
    tcb: numbered("tdx", td.teeTcbSvn),
    isMigratable: isMigratable(td),
  };
}

function sgxClaims(report: SgxReport): BodyClaims {
  const measurement = toHex(report.mrEnclave);
  return {
    tee: "sgx",
    measurement,
    measurements: {
      mrenclave: measurement,
      mrsigner: toHex(report.mrSigner),
      isvprodid: String(report.isvProductId),
      attributes: toHex(report.attributes),
    },
    reportData: toHex(report.reportData),
    debug: isSgxDebug(report),
    tcb: { isvsvn: report.isvSvn },
    isMigratable: false,
  };
}

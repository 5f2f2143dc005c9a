// AMD SEV-SNP: report, signed by a key of the chip (VCEK) or of the cloud provider (VLEK), whose certificate AMD signed
// for exactly the security versions that the report names. AMD publication 57230, "Versioned Chip Endorsement Key
// (VCEK) Certificate and KDS Interface Specification", chapter 3.

import { equal, fromBase64, fromHex, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { requireChain, requireLeaf, requireNotRevoked, requireRevocationList } from "./chain.ts";
import { DerReader, smallInteger } from "./der.ts";
import type { Claims } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { isZero } from "./layout.ts";
import { readRevocationList } from "./revocation.ts";
import type { Roots } from "./roots.ts";
import { readSevSnpReport, type SevSnpReport } from "./sev-snp-report.ts";
import { type Certificate, lastNameOf, readCertificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Revocation list of the product's root, DER in hexadecimal, as /vcek/v1/{product}/crl of AMD's service gives it. */
export interface SevSnpCollateral {
  readonly ark_crl?: string;
}

const AMD = "1.3.6.1.4.1.3704.1";
const HARDWARE_ID = `${AMD}.4`;
const PROVIDER_ID = `${AMD}.5`;
const CHAIN_LENGTH = 3;

/** Components of the TCB version: byte in the report, extension in the certificate. */
type Layout = Readonly<Record<string, { readonly byte: number; readonly extension: string }>>;

const MILAN_TCB: Layout = {
  bootloader: { byte: 0, extension: `${AMD}.3.1` },
  tee: { byte: 1, extension: `${AMD}.3.2` },
  snp: { byte: 6, extension: `${AMD}.3.3` },
  microcode: { byte: 7, extension: `${AMD}.3.8` },
};
const TURIN_TCB: Layout = {
  fmc: { byte: 0, extension: `${AMD}.3.9` },
  bootloader: { byte: 1, extension: `${AMD}.3.1` },
  tee: { byte: 2, extension: `${AMD}.3.2` },
  snp: { byte: 3, extension: `${AMD}.3.3` },
  microcode: { byte: 7, extension: `${AMD}.3.8` },
};

interface Product {
  readonly layout: Layout;
  /** How much of the report's chip id the certificate repeats. */
  readonly chipIdBytes: number;
}

/** By common name of the root. Genoa's root serves Bergamo and Siena too. */
const PRODUCTS: Readonly<Record<string, Product>> = {
  "ARK-Milan": { layout: MILAN_TCB, chipIdBytes: 64 },
  "ARK-Genoa": { layout: MILAN_TCB, chipIdBytes: 64 },
  "ARK-Turin": { layout: TURIN_TCB, chipIdBytes: 8 },
};

function knownCertificate(roots: Roots, name: string): Certificate | undefined {
  return Object.hasOwn(roots.amd, name) ? readCertificate(fromBase64(roots.amd[name]!), name) : undefined;
}

/** What AMD's service leaves out of a chain, we know: CAs are public and few. */
function completeChain(certificates: readonly Certificate[], roots: Roots): Certificate[] {
  const chain = [...certificates];
  while (chain.length < CHAIN_LENGTH) {
    const issuer = knownCertificate(roots, lastNameOf(chain.at(-1)!.issuer));
    if (issuer === undefined) break;
    chain.push(issuer);
  }
  if (chain.length === CHAIN_LENGTH) return chain;
  throw new QflareError("evidence.malformed", `certificates: expected a chain of ${CHAIN_LENGTH}, got ${chain.length}`);
}

function securityVersion(leaf: Certificate, extension: string): number | undefined {
  const value = leaf.extensions.get(extension);
  if (value === undefined) return undefined;
  const what = `extension ${extension}`;
  const reader = new DerReader(value, what);
  const version = smallInteger(reader.integer(), what);
  reader.end();
  return version;
}

function requireTcb(findings: Findings, report: SevSnpReport, leaf: Certificate, layout: Layout): Claims["tcb"] {
  const tcb: Record<string, number> = {};
  for (const [name, { byte, extension }] of Object.entries(layout)) {
    tcb[name] = report.reportedTcb[byte]!;
    const certified = securityVersion(leaf, extension);
    const fact = `report ${tcb[name]}, certificate ${certified ?? "none"}`;
    findings.require(certified === tcb[name], `TCB: the certificate is for another ${name} version: ${fact}`);
  }
  return tcb;
}

/** A VCEK is for one chip, a VLEK for a provider's machines. */
function requireKey(findings: Findings, report: SevSnpReport, leaf: Certificate, chipIdBytes: number): void {
  const chip = leaf.extensions.get(HARDWARE_ID);
  const provider = leaf.extensions.get(PROVIDER_ID);
  const kind = chip !== undefined ? "VCEK" : provider !== undefined ? "VLEK" : "neither";
  findings.require(kind === report.key, `certificates: expected a ${report.key} first, got ${kind}`);
  // A host may mask the chip id in reports (MASK_CHIP_ID); the certificate still names the chip.
  if (chip === undefined || isZero(report.chipId)) return;
  findings.require(equal(chip, report.chipId.subarray(0, chipIdBytes)), "chip id: the certificate is for another chip");
}

function requireNoRevocation(findings: Findings, chain: readonly Certificate[], crl: string, nowMs: number): void {
  const der = fromHex(crl);
  if (der === undefined) throw new QflareError("evidence.malformed", "ark_crl: expected lower-case hexadecimal");
  const list = readRevocationList(der, "ark_crl");
  requireRevocationList(findings, list, chain[2]!, nowMs, "ark_crl");
  requireNotRevoked(findings, list, chain[1]!, "AMD signing key");
  requireNotRevoked(findings, list, chain[2]!, "AMD root key");
}

/** Throws evidence.malformed. */
export function collectSevSnp(
  evidence: { readonly report: Bytes; readonly certificates: readonly Bytes[] },
  collateral: SevSnpCollateral | undefined,
  roots: Roots,
  nowMs: number,
  findings: Findings,
): Claims {
  const report = readSevSnpReport(evidence.report);
  const given = evidence.certificates.map((der, i) => readCertificate(der, `certificate ${i}`));
  if (given.length === 0) throw new QflareError("evidence.malformed", "certificates: expected the VCEK or VLEK first");
  const chain = completeChain(given, roots);
  const [leaf, , root] = chain as [Certificate, Certificate, Certificate];
  const rootName = lastNameOf(root.subject);
  const pinned = rootName.startsWith("ARK-") ? knownCertificate(roots, rootName) : undefined;
  if (pinned === undefined) throw new QflareError("evidence.malformed", "certificates: their root is not a pinned one");
  const { layout, chipIdBytes } = PRODUCTS[rootName]!;

  requireChain(findings, chain, pinned, nowMs, "AMD");
  requireLeaf(findings, leaf, "AMD");
  requireKey(findings, report, leaf, chipIdBytes);
  const tcb = requireTcb(findings, report, leaf, layout);
  findings.requireSignature({
    algorithm: "ECDSA-P384-SHA384",
    publicKey: leaf.publicKey,
    message: report.signed,
    signature: report.signature,
    reason: "report: its signature does not hold",
  });
  const crl = collateral?.ark_crl;
  if (crl !== undefined) requireNoRevocation(findings, chain, crl, nowMs);
  return claimsOf(report, tcb, crl !== undefined);
}

function claimsOf(report: SevSnpReport, tcb: Claims["tcb"], isRevocationChecked: boolean): Claims {
  const measurement = toHex(report.measurement);
  return {
    tee: "sev-snp",
    measurement,
    measurements: {
      measurement,
      host_data: toHex(report.hostData),
      family_id: toHex(report.familyId),
      image_id: toHex(report.imageId),
      id_key_digest: toHex(report.idKeyDigest),
      author_key_digest: toHex(report.authorKeyDigest),
      chip_id: toHex(report.chipId),
    },
    reportData: toHex(report.reportData),
    debug: report.debug,
    tcb,
    vmpl: report.vmpl,
    isMigratable: report.hasMigrationAgent,
    isRevocationChecked,
  };
}

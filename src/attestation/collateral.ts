// What Intel publishes about platforms and quoting enclaves, signed and dated: which of them are revoked, and how up to
// date the others are. Comes with the evidence, from a cache or from Intel; whoever supplies it is not trusted.

import { equal, fromBase64, fromHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { requireChain, requireLeaf, requireNotRevoked, requireRevocationList } from "./chain.ts";
import type { Findings } from "./findings.ts";
import { JsonView } from "./json-view.ts";
import { certificatesFromPem } from "./pem.ts";
import { type RevocationList, readRevocationList } from "./revocation.ts";
import { type Certificate, readCertificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SIGNATURE_BYTES = 2 * 32;

const MEMBERS = [
  ...["pck_crl_issuer_chain", "root_ca_crl", "pck_crl", "tcb_info_issuer_chain", "tcb_info", "tcb_info_signature"],
  ...["qe_identity_issuer_chain", "qe_identity", "qe_identity_signature"],
] as const;

/**
 * For TDX and SGX. Issuer chains: PEM. Revocation lists (DER) and signatures: lower-case hexadecimal. tcb_info and
 * qe_identity: the JSON text as signed, to the byte.
 */
export type QuoteCollateral = Readonly<Record<(typeof MEMBERS)[number], string>>;

export interface CheckedCollateral {
  readonly tcbInfo: JsonView;
  readonly qeIdentity: JsonView;
  /** Of the older of the two. */
  readonly issuedMs: number;
}

function refuse(fact: string): never {
  throw new QflareError("evidence.malformed", `collateral: ${fact}`);
}

/** Throws evidence.malformed where a member is missing, too long or not text. */
export function readQuoteCollateral(value: unknown): QuoteCollateral {
  if (typeof value !== "object" || value === null) refuse("expected that of Intel, got none");
  for (const name of MEMBERS) {
    const member = (value as Record<string, unknown>)[name];
    if (typeof member !== "string") refuse(`expected text as ${name}`);
    if (member.length > LIMITS.collateralBytesMax) refuse(`${name} is longer than ${LIMITS.collateralBytesMax}`);
  }
  return value as QuoteCollateral;
}

function hex(text: string, name: string): Bytes {
  return fromHex(text) ?? refuse(`${name}: expected lower-case hexadecimal`);
}

export class CollateralReader {
  readonly #collateral: QuoteCollateral;
  readonly #root: Certificate;
  readonly #nowMs: number;
  readonly #findings: Findings;
  readonly #rootList: RevocationList;

  /** root: the pinned one, DER in base64. Throws evidence.malformed. */
  constructor(collateral: QuoteCollateral, root: string, nowMs: number, findings: Findings) {
    this.#collateral = collateral;
    this.#root = readCertificate(fromBase64(root), "pinned root");
    this.#nowMs = nowMs;
    this.#findings = findings;
    this.#rootList = readRevocationList(hex(collateral.root_ca_crl, "root_ca_crl"), "root_ca_crl");
    requireRevocationList(findings, this.#rootList, this.#root, nowMs, "root_ca_crl");
  }

  /** chain: that of the platform, from the quote, leaf first. */
  requirePlatform(chain: readonly Certificate[]): void {
    const [leaf, issuer] = chain as [Certificate, Certificate];
    this.#requireNotRevokedByRoot(issuer, "PCK issuer");
    const list = readRevocationList(hex(this.#collateral.pck_crl, "pck_crl"), "pck_crl");
    const listIssuer = this.#issuerOf("pck_crl_issuer_chain");
    // The list speaks about this platform's issuer only if both are the same CA.
    const isSame = equal(listIssuer.subject, issuer.subject) && equal(listIssuer.publicKey, issuer.publicKey);
    this.#findings.require(isSame, "pck_crl: it is of another issuer than the platform's certificate");
    requireRevocationList(this.#findings, list, listIssuer, this.#nowMs, "pck_crl");
    requireNotRevoked(this.#findings, list, leaf, "platform (PCK)");
  }

  read(): CheckedCollateral {
    const tcbInfo = this.#signedJson("tcb_info");
    const qeIdentity = this.#signedJson("qe_identity");
    return { tcbInfo, qeIdentity, issuedMs: Math.min(tcbInfo.time("issueDate"), qeIdentity.time("issueDate")) };
  }

  #signedJson(name: "tcb_info" | "qe_identity"): JsonView {
    const message = utf8(this.#collateral[name]);
    const signature = hex(this.#collateral[`${name}_signature`], `${name}_signature`);
    if (signature.length !== SIGNATURE_BYTES) refuse(`${name}_signature: expected ${SIGNATURE_BYTES} bytes`);
    const signer = this.#issuerOf(`${name}_issuer_chain`);
    requireLeaf(this.#findings, signer, `${name}_issuer_chain`);
    const { publicKey } = signer;
    const reason = `${name}: its signature does not hold`;
    this.#findings.requireSignature({ algorithm: "ECDSA-P256-SHA256", publicKey, message, signature, reason });
    const view = JsonView.parse(this.#collateral[name], name);
    this.#findings.require(view.time("issueDate") <= this.#nowMs, `${name}: it is not valid yet`);
    this.#findings.require(this.#nowMs <= view.time("nextUpdate"), `${name}: it has expired`);
    return view;
  }

  #issuerOf(name: "pck_crl_issuer_chain" | "tcb_info_issuer_chain" | "qe_identity_issuer_chain"): Certificate {
    const chain = certificatesFromPem(this.#collateral[name], name).map((der, i) =>
      readCertificate(der, `${name} ${i}`),
    );
    if (chain.length !== 2) refuse(`${name}: expected an issuer and the root, got ${chain.length} certificates`);
    this.#requireChain(chain, name);
    const issuer = chain[0]!;
    this.#requireNotRevokedByRoot(issuer, name);
    return issuer;
  }

  #requireChain(chain: readonly Certificate[], name: string): void {
    requireChain(this.#findings, chain, this.#root, this.#nowMs, name);
  }

  #requireNotRevokedByRoot(certificate: Certificate, what: string): void {
    requireNotRevoked(this.#findings, this.#rootList, certificate, what);
  }
}

// Certificate chains (RFC 5280 section 6, as far as vendors of hardware use it), and revocation.

import { equal } from "../core/bytes.ts";
import { type Findings, requireIssued } from "./findings.ts";
import type { RevocationList } from "./revocation.ts";
import type { Certificate } from "./x509.ts";

function requireCa(findings: Findings, issuer: Certificate, below: number, what: string): void {
  findings.require(issuer.isCa && issuer.maySignCertificates, `${what}: it may not sign certificates`);
  findings.require(below <= issuer.pathLengthMax, `${what}: too many certificates below it`);
}

/** The pinned certificate itself needs no proof. */
function isSame(a: Certificate, b: Certificate): boolean {
  return equal(a.tbs, b.tbs) && equal(a.signature, b.signature);
}

/**
 * chain: leaf first, root last; its root may be another certificate of the pinned root's key. what: for messages.
 */
export function requireChain(
  findings: Findings,
  chain: readonly Certificate[],
  root: Certificate,
  nowMs: number,
  what: string,
): void {
  chain.forEach((certificate, i) => {
    const name = `${what} certificate ${i}`;
    const issuer = chain[Math.min(i + 1, chain.length - 1)]!;
    findings.require(certificate.notBeforeMs <= nowMs, `${name}: it is not valid yet`);
    findings.require(nowMs <= certificate.notAfterMs, `${name}: it has expired`);
    const below = chain.slice(0, i).filter(({ isCa }) => isCa).length;
    if (i > 0) requireCa(findings, certificate, below, name);
    findings.require(equal(certificate.issuer, issuer.subject), `${name}: the next certificate is not its issuer`);
    if (!isSame(certificate, root)) requireIssued(findings, certificate, issuer, name);
  });
  findings.require(equal(chain.at(-1)!.publicKey, root.publicKey), `${what}: its root is not the pinned one`);
}

/** A key that attests must not belong to a CA, whose signatures mean something else. */
export function requireLeaf(findings: Findings, { isCa }: Certificate, what: string): void {
  findings.require(!isCa, `${what} certificate 0: expected the end of a chain, got a CA`);
}

/** The list is the issuer's own and in force. */
export function requireRevocationList(
  findings: Findings,
  list: RevocationList,
  issuer: Certificate,
  nowMs: number,
  what: string,
): void {
  findings.require(equal(list.issuer, issuer.subject), `${what}: it is of another issuer`);
  findings.require(issuer.maySignRevocations, `${what}: its issuer may not sign it`);
  findings.require(list.thisUpdateMs <= nowMs, `${what}: it is not valid yet`);
  findings.require(nowMs <= list.nextUpdateMs, `${what}: it has expired`);
  const { algorithm, tbs, signature } = list;
  const reason = `${what}: its issuer's signature does not hold`;
  findings.requireSignature({ algorithm, publicKey: issuer.publicKey, message: tbs, signature, reason });
}

export function requireNotRevoked(
  findings: Findings,
  list: RevocationList,
  certificate: Certificate,
  what: string,
): void {
  findings.require(!list.revoked.has(certificate.serial), `${what}: its certificate is revoked`);
}

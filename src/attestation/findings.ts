// What a verifier finds: reasons to refuse, and the signatures and digests that have yet to be checked. Verifiers read
// and compare and do no cryptography themselves, so that the same ones serve node:crypto, which answers at once, and
// WebCrypto, which answers later. Nothing is true before all checks have been made.

import { equal, toHex } from "../core/bytes.ts";
import type { ClassicalSignature } from "../crypto/classical-signature.ts";
import type { Certificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface SignatureCheck extends ClassicalSignature {
  readonly reason: string;
}

export interface DigestCheck {
  readonly message: Bytes;
  /** SHA-256 of the message. */
  readonly digest: Bytes;
  readonly reason: string;
}

export class Findings {
  readonly reasons: string[] = [];
  readonly digests: DigestCheck[] = [];
  readonly signatures: SignatureCheck[] = [];

  /** reason: why to refuse unless it holds. */
  require(holds: boolean, reason: string): void {
    if (!holds && !this.reasons.includes(reason)) this.reasons.push(reason);
  }

  requireSignature(check: SignatureCheck): void {
    this.require(fits(check), `${check.reason}: the key is of another kind than the signature`);
    // The same certificate comes in several chains.
    if (!this.signatures.some((known) => isSame(known, check))) this.signatures.push(check);
  }

  requireDigest(check: DigestCheck): void {
    this.digests.push(check);
  }
}

function isSame(a: SignatureCheck, b: SignatureCheck): boolean {
  return equal(a.signature, b.signature) && equal(a.publicKey, b.publicKey) && equal(a.message, b.message);
}

// SubjectPublicKeyInfo up to the key itself (RFC 5480, RFC 3279): what tells the kinds apart.
const KEY_PREFIXES: Readonly<Record<ClassicalSignature["algorithm"], string>> = {
  "ECDSA-P256-SHA256": "3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04",
  "ECDSA-P384-SHA384": "3076301006072a8648ce3d020106052b81040022036200" + "04",
  "RSA-PSS-SHA384": "30820222300d06092a864886f70d01010105000382020f00", // modulus of 4096 bits
};

function fits({ algorithm, publicKey }: ClassicalSignature): boolean {
  const prefix = KEY_PREFIXES[algorithm];
  return toHex(publicKey.subarray(0, prefix.length / 2)) === prefix;
}

/** The certificate bears a signature by its issuer's key. */
export function requireIssued(findings: Findings, certificate: Certificate, issuer: Certificate, what: string): void {
  const { algorithm, tbs, signature } = certificate;
  const reason = `${what}: its issuer's signature does not hold`;
  findings.requireSignature({ algorithm, publicKey: issuer.publicKey, message: tbs, signature, reason });
}

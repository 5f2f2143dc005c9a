// AWS Nitro Enclaves: a document that the hypervisor signs with a key whose certificate lives for three hours. AWS
// publishes no revocation lists that a verifier is to ask for these.

import { fromBase64, toHex } from "../core/bytes.ts";
import { requireChain, requireLeaf } from "./chain.ts";
import type { Claims } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { isZero } from "./layout.ts";
import { readNitroDocument } from "./nitro-document.ts";
import type { Roots } from "./roots.ts";
import { readCertificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Throws evidence.malformed. */
export function collectNitro(
  evidence: { readonly document: Bytes },
  roots: Roots,
  nowMs: number,
  findings: Findings,
): Claims {
  const document = readNitroDocument(evidence.document);
  const chain = document.certificates.map((der, i) => readCertificate(der, `certificate ${i}`));
  const leaf = chain[0]!;
  requireChain(findings, chain, readCertificate(fromBase64(roots.aws), "pinned root"), nowMs, "AWS");
  requireLeaf(findings, leaf, "AWS");
  findings.requireSignature({
    algorithm: "ECDSA-P384-SHA384",
    publicKey: leaf.publicKey,
    message: document.signed,
    signature: document.signature,
    reason: "document: its signature does not hold",
  });
  const { pcrs, userData, nonce, moduleId, timestampMs } = document;
  const hexed = [...pcrs].map(([index, pcr]) => [`pcr${index}`, toHex(pcr)]);
  return {
    tee: "nitro",
    measurement: toHex(pcrs.get(0)!),
    measurements: { ...Object.fromEntries(hexed), module_id: moduleId, nonce: toHex(nonce) },
    reportData: toHex(userData),
    // The hypervisor gives no measurements of an enclave in debug mode.
    debug: [0, 1, 2].every((index) => isZero(pcrs.get(index)!)),
    tcb: {},
    isMigratable: false,
    isRevocationChecked: false,
    issuedMs: timestampMs,
  };
}

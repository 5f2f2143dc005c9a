// Evidence on its way: one map for every kind.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { bytes, list, message, oneOf } from "../core/shape.ts";
import { type Evidence, TEES } from "./evidence.ts";

/**
 * document: SEV-SNP's report, the quote of TDX and SGX, the document of Nitro and of simulated evidence. certificates:
 * DER, VCEK or VLEK first; for SEV-SNP alone.
 */
export const evidenceMessage = message("evidence", LIMITS.evidenceMessageBytesMax, {
  tee: oneOf(...TEES),
  document: bytes(1, LIMITS.evidenceBytesMax),
  certificates: list(bytes(1, LIMITS.certificateBytesMax), 0, LIMITS.certificatesMax),
});

const copyOf = (part: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(part);

export function encodeEvidence(evidence: Evidence): Uint8Array<ArrayBuffer> {
  const { tee } = evidence;
  if (tee === "sev-snp") {
    const certificates = evidence.certificates.map(copyOf);
    return evidenceMessage.encode({ tee, document: copyOf(evidence.report), certificates });
  }
  const document = tee === "nitro" || tee === "simulated" ? evidence.document : evidence.quote;
  return evidenceMessage.encode({ tee, document: copyOf(document), certificates: [] });
}

/** Throws message.malformed or message.too_large. */
export function decodeEvidence(encoded: Uint8Array): Evidence {
  const { tee, document, certificates } = evidenceMessage.decode(encoded);
  if (tee === "sev-snp") return { tee, report: document, certificates };
  if (certificates.length > 0) throw new QflareError("message.malformed", `evidence of ${tee}: it has no certificates`);
  return tee === "nitro" || tee === "simulated" ? { tee, document } : { tee, quote: document };
}

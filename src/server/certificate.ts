// A certificate of the server's own, for sites without one. Devices trust it by its hash in their token; the key
// exchange is post-quantum, and the protocol above authenticates the server with ML-DSA.

import { type CertifiedKey, issueCertificate, pemOf } from "../crypto/certificate.ts";

const NOT_BEFORE = new Date("2025-01-01T00:00:00Z");
/** RFC 5280 section 4.1.2.5: a certificate without a well-defined end. It is pinned, not dated. */
const NOT_AFTER = new Date("9999-12-31T23:59:59Z");

export async function makeCertificate(hosts: readonly string[]): Promise<CertifiedKey> {
  return await pemOf(
    await issueCertificate({ commonName: "qflare", hosts, notBefore: NOT_BEFORE, notAfter: NOT_AFTER }),
  );
}

// A certificate authority for a simulation of QKD: names KMEs and SAEs. A real site brings certificates of its own.

import { type CertifiedKey, type Issued, issueCertificate, pemOf } from "../crypto/certificate.ts";

const VALID_MS = 30 * 24 * 3_600_000;
const BACKDATED_MS = 3_600_000;

export class Authority {
  readonly #root: Issued;
  readonly #nowMs: number;

  private constructor(root: Issued, nowMs: number) {
    this.#root = root;
    this.#nowMs = nowMs;
  }

  static async create(nowMs: number): Promise<Authority> {
    const root = await issueCertificate({ ...dates(nowMs), commonName: "QKD simulation", isAuthority: true });
    return new Authority(root, nowMs);
  }

  /** PEM. */
  get certificate(): string {
    return this.#root.certificate.toString("pem");
  }

  /** host: for a KME, where it listens. */
  async certify(commonName: string, host?: string): Promise<CertifiedKey> {
    const hosts = host === undefined ? [] : [host];
    return await pemOf(await issueCertificate({ ...dates(this.#nowMs), commonName, hosts }, this.#root));
  }
}

function dates(nowMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + VALID_MS) };
}

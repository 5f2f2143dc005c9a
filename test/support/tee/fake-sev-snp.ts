// SEV-SNP evidence of products and versions of which no public sample exists, under an AMD of our own.

import type { SevSnpEvidence } from "../../../src/attestation/evidence.ts";
import { ROOTS, type Roots } from "../../../src/attestation/roots.ts";
import {
  CERT_AND_CRL_SIGN,
  extension,
  type KeyPair,
  makeCertificate,
  makeKey,
  makeRevocationList,
  signRaw,
} from "./authority.ts";
import { type Bytes, integer } from "./der-writer.ts";

export const NOW = new Date("2026-05-01T00:00:00Z");
export const DAY_MS = 24 * 3_600_000;
const AMD = "1.3.6.1.4.1.3704.1";

export type Product = "Milan" | "Genoa" | "Turin";

export interface ReportOptions {
  readonly version?: number;
  readonly policy?: number;
  readonly vmpl?: number;
  readonly signingKey?: number;
  readonly signatureAlgorithm?: number;
  readonly chipId?: Uint8Array;
  readonly tcb?: readonly number[];
}

export interface LeafOptions {
  readonly product?: Product;
  readonly kind?: "VCEK" | "VLEK";
  readonly tcb?: Readonly<Record<string, number>>;
  readonly chipId?: Uint8Array;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly isCa?: boolean;
  readonly extensions?: readonly Bytes[];
}

/** Bytes of the reported TCB, and what the certificate says of it. */
const MILAN = { bytes: [4, 0, 0, 0, 0, 0, 24, 219], parts: { 1: 4, 2: 0, 3: 24, 8: 219 } } as const;
const TURIN = { bytes: [1, 2, 3, 4, 0, 0, 0, 77], parts: { 9: 1, 1: 2, 2: 3, 3: 4, 8: 77 } } as const;
export const tcbOf = (product: Product): typeof MILAN | typeof TURIN => (product === "Turin" ? TURIN : MILAN);

export class FakeAmd {
  /** One RSA key for all CAs: making one takes long. */
  readonly caKey = makeKey("RSA-4096");
  readonly leafKey = makeKey("P-384");
  readonly roots: Roots;
  readonly #cas = new Map<string, Bytes>();

  constructor() {
    for (const product of ["Milan", "Genoa", "Turin"]) {
      this.#cas.set(`ARK-${product}`, this.makeCa(`ARK-${product}`, `ARK-${product}`, 1));
      for (const name of [`SEV-${product}`, `SEV-VLEK-${product}`]) {
        this.#cas.set(name, this.makeCa(name, `ARK-${product}`, 2));
      }
    }
    const amd = Object.fromEntries([...this.#cas].map(([name, der]) => [name, Buffer.from(der).toString("base64")]));
    this.roots = { ...ROOTS, amd };
  }

  makeCa(subject: string, issuer: string, serial: number): Bytes {
    return makeCertificate({
      ...{ subject, issuer, serial, key: this.caKey, issuerKey: this.caKey, isCa: true, keyUsage: CERT_AND_CRL_SIGN },
      ...{ notBeforeMs: NOW.getTime() - 1000 * DAY_MS, notAfterMs: NOW.getTime() + 1000 * DAY_MS },
    });
  }

  ca(name: string): Bytes {
    return this.#cas.get(name)!;
  }

  leaf(options: LeafOptions = {}): Bytes {
    const { product = "Milan", kind = "VCEK", chipId = chipIdOf(product), isCa = false } = options;
    const tcb = options.tcb ?? tcbOf(product).parts;
    const versions = Object.entries(tcb).map(([part, value]) => extension(`${AMD}.3.${part}`, integer(value)));
    const identity =
      kind === "VCEK" ? extension(`${AMD}.4`, chipId) : extension(`${AMD}.5`, Uint8Array.of(0x16, 3, 0x41, 0x57, 0x53));
    return makeCertificate({
      ...{
        subject: `SEV-${kind}`,
        issuer: kind === "VCEK" ? `SEV-${product}` : `SEV-VLEK-${product}`,
        serial: 0,
        isCa,
      },
      ...{ key: this.leafKey, issuerKey: this.caKey },
      notBeforeMs: options.notBeforeMs ?? NOW.getTime() - DAY_MS,
      notAfterMs: options.notAfterMs ?? NOW.getTime() + DAY_MS,
      extensions: [...versions, identity, ...(options.extensions ?? [])],
    });
  }

  report(options: ReportOptions = {}, key: KeyPair = this.leafKey): Bytes {
    const report = new Uint8Array(0x4a0);
    const view = new DataView(report.buffer);
    view.setUint32(0x00, options.version ?? 5, true);
    view.setUint32(0x08, options.policy ?? 0x30000, true);
    view.setUint32(0x30, options.vmpl ?? 0, true);
    view.setUint32(0x34, options.signatureAlgorithm ?? 1, true);
    view.setUint32(0x48, (options.signingKey ?? 0) << 2, true);
    report.fill(0xd1, 0x50, 0x90);
    report.fill(0xe2, 0x90, 0xc0);
    report.set(options.tcb ?? MILAN.bytes, 0x180);
    report.set(options.chipId ?? chipIdOf("Milan"), 0x1a0);
    // Mitigation vectors of version 5.
    report.fill(0x33, 0x1f8, 0x208);
    const signature = signRaw(key, report.subarray(0, 0x2a0));
    report.set(signature.subarray(0, 48).toReversed(), 0x2a0);
    report.set(signature.subarray(48).toReversed(), 0x2a0 + 72);
    return report;
  }

  evidence(report: ReportOptions = {}, leaf: LeafOptions = {}): SevSnpEvidence {
    const product = leaf.product ?? "Milan";
    const own = { chipId: chipIdOf("Milan"), tcb: tcbOf(product).bytes, signingKey: leaf.kind === "VLEK" ? 1 : 0 };
    return { tee: "sev-snp", report: this.report({ ...own, ...report }), certificates: [this.leaf(leaf)] };
  }

  list(
    options: { serials?: readonly number[]; thisUpdateMs?: number; nextUpdateMs?: number; product?: Product } = {},
  ): string {
    const list = makeRevocationList({
      issuer: `ARK-${options.product ?? "Milan"}`,
      issuerKey: this.caKey,
      serials: options.serials ?? [],
      thisUpdateMs: options.thisUpdateMs ?? NOW.getTime() - DAY_MS,
      nextUpdateMs: options.nextUpdateMs ?? NOW.getTime() + DAY_MS,
    });
    return Buffer.from(list).toString("hex");
  }
}

/** Turin certificates repeat the first 8 of the report's 64 bytes. */
export function chipIdOf(product: Product): Bytes {
  return Uint8Array.from({ length: product === "Turin" ? 8 : 64 }, (_, i) => i + 1);
}

// Nitro documents under an AWS of our own.

import type { NitroEvidence } from "../../../src/attestation/evidence.ts";
import { ROOTS, type Roots } from "../../../src/attestation/roots.ts";
import { concat } from "../../../src/core/bytes.ts";
import { encodeCbor } from "../../../src/core/codec.ts";
import { CERT_AND_CRL_SIGN, type CertificateOptions, makeCertificate, makeKey, signRaw } from "./authority.ts";
import type { Bytes } from "./der-writer.ts";
import { DAY_MS, NOW } from "./fake-sev-snp.ts";

export interface DocumentOptions {
  readonly fields?: ReadonlyMap<string, unknown>;
  readonly leaf?: Partial<CertificateOptions>;
  readonly protectedHeader?: Uint8Array;
  readonly unprotectedHeader?: Uint8Array;
  readonly isTagged?: boolean;
}

const LIFE = { notBeforeMs: NOW.getTime() - DAY_MS, notAfterMs: NOW.getTime() + DAY_MS } as const;
const ES384 = Uint8Array.of(0xa1, 0x01, 0x38, 0x22); // {1: -35}
const EMPTY_MAP = Uint8Array.of(0xa0);

export class FakeAws {
  readonly rootKey = makeKey("P-384");
  readonly middleKey = makeKey("P-384");
  readonly leafKey = makeKey("P-384");
  readonly root: Bytes;
  readonly roots: Roots;

  constructor() {
    const self = { subject: "root", issuer: "root", key: this.rootKey, issuerKey: this.rootKey };
    this.root = makeCertificate({ ...self, isCa: true, keyUsage: CERT_AND_CRL_SIGN, ...LIFE });
    this.roots = { ...ROOTS, aws: Buffer.from(this.root).toString("base64") };
  }

  evidence(options: DocumentOptions = {}): NitroEvidence {
    const { protectedHeader = ES384, unprotectedHeader = EMPTY_MAP } = options;
    const middle = makeCertificate({
      ...{ subject: "middle", issuer: "root", key: this.middleKey, issuerKey: this.rootKey },
      ...{ isCa: true, keyUsage: CERT_AND_CRL_SIGN, pathLengthMax: 0, ...LIFE },
    });
    const leaf = makeCertificate({
      ...{ subject: "leaf", issuer: "middle", key: this.leafKey, issuerKey: this.middleKey, ...LIFE },
      ...options.leaf,
    });
    const fields = new Map<string, unknown>([
      ["module_id", "i-0123"],
      ["digest", "SHA384"],
      ["timestamp", NOW.getTime()],
      ["pcrs", pcrsOf(0x51)],
      ["certificate", leaf],
      ["cabundle", [this.root, middle]],
      ["public_key", null],
      ["user_data", new Uint8Array(64).fill(0x77)],
      ["nonce", null],
      ...(options.fields ?? []),
    ]);
    const payload = encodeCbor(fields);
    const signature = signRaw(this.leafKey, encodeCbor(["Signature1", protectedHeader, new Uint8Array(0), payload]));
    const parts = [encodeCbor(protectedHeader), unprotectedHeader, encodeCbor(payload), encodeCbor(signature)];
    const head = options.isTagged === true ? Uint8Array.of(0xd2, 0x84) : Uint8Array.of(0x84);
    return { tee: "nitro", document: concat(head, ...parts) };
  }
}

export function pcrsOf(byte: number): Map<number, Bytes> {
  return new Map([0, 1, 2].map((index) => [index, new Uint8Array(48).fill(byte)]));
}

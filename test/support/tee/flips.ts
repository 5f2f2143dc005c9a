// A sample with one bit flipped, for every stride-th bit place of its bytes and of its collateral's text.

import type { QuoteCollateral } from "../../../src/attestation/collateral.ts";
import type { Evidence } from "../../../src/attestation/evidence.ts";
import type { Sample } from "./samples.ts";

export interface Flip {
  readonly where: string;
  readonly altered: Sample;
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes);
  out[bit >> 3] ^= 1 << (bit & 7);
  return out;
}

function flippedText(text: string, bit: number): string {
  const code = text.charCodeAt(bit >> 3) ^ (1 << (bit & 7));
  return text.slice(0, bit >> 3) + String.fromCharCode(code) + text.slice((bit >> 3) + 1);
}

/** One flip for each stride bytes, or with a stride of 1/8 for each bit. */
function* bitsOf(length: number, stride: number): Generator<number> {
  const step = Math.max(1, Math.round(8 * stride) + (stride < 1 ? 0 : 1));
  for (let bit = 0; bit < 8 * length; bit += step) yield bit;
}

function* evidenceFlips(evidence: Evidence, stride: number): Generator<[string, Evidence]> {
  for (const [member, value] of Object.entries(evidence)) {
    if (value instanceof Uint8Array) {
      for (const bit of bitsOf(value.length, stride)) {
        yield [`${member}, bit ${bit}`, { ...evidence, [member]: flipped(value, bit) } as Evidence];
      }
    }
  }
  if (evidence.tee !== "sev-snp") return;
  for (const [i, der] of evidence.certificates.entries()) {
    for (const bit of bitsOf(der.length, stride)) {
      const certificates = evidence.certificates.with(i, flipped(der, bit));
      yield [`certificate ${i}, bit ${bit}`, { ...evidence, certificates }];
    }
  }
}

export function* flips(sample: Sample, stride: number): Generator<Flip> {
  for (const [where, evidence] of evidenceFlips(sample.evidence, stride)) {
    yield { where, altered: { ...sample, evidence } };
  }
  if (sample.collateral === undefined) return;
  for (const [member, text] of Object.entries(sample.collateral)) {
    for (const bit of bitsOf(text.length, stride)) {
      const collateral = { ...sample.collateral, [member]: flippedText(text, bit) } as QuoteCollateral;
      yield { where: `${member}, bit ${bit}`, altered: { ...sample, collateral } };
    }
  }
}

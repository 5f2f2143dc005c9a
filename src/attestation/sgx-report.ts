// The report body of an SGX enclave: Intel SDM volume 3D, table 38-21. An application's enclave and the quoting enclave
// describe themselves alike.

import { isZero, LayoutReader } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const SGX_REPORT_BYTES = 384;

export interface SgxReport {
  readonly cpuSvn: Bytes;
  readonly miscSelect: Bytes;
  readonly attributes: Bytes;
  readonly mrEnclave: Bytes;
  readonly mrSigner: Bytes;
  readonly isvProductId: number;
  readonly isvSvn: number;
  readonly reportData: Bytes;
}

export function readSgxReport(bytes: Bytes): SgxReport {
  const reader = new LayoutReader(bytes, "SGX report");
  const cpuSvn = reader.take(16);
  const miscSelect = reader.take(4);
  reader.take(28);
  const attributes = reader.take(16);
  const mrEnclave = reader.take(32);
  reader.take(32);
  const mrSigner = reader.take(32);
  reader.take(96);
  const isvProductId = reader.u16();
  const isvSvn = reader.u16();
  reader.take(60);
  const reportData = reader.take(64);
  return { cpuSvn, miscSelect, attributes, mrEnclave, mrSigner, isvProductId, isvSvn, reportData };
}

const ATTRIBUTE_DEBUG = 0x02;

export function isDebug({ attributes }: SgxReport): boolean {
  return (attributes[0]! & ATTRIBUTE_DEBUG) !== 0;
}

/** Masks are in the byte order of the report. */
export function matchesMasked(value: Bytes, mask: Bytes, expected: Bytes): boolean {
  if (value.length !== mask.length || value.length !== expected.length) return false;
  return isZero(value.map((byte, i) => (byte & mask[i]!) ^ (expected[i]! & mask[i]!)));
}

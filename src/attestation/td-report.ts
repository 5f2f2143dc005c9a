// The report body of a trust domain: "Intel TDX DCAP Quoting Library API", TD Quote Body, versions 1.0 and 1.5.

import { isZero, LayoutReader } from "./layout.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const REGISTER_BYTES = 48;

export const TD10_BYTES = 584;
export const TD15_BYTES = TD10_BYTES + 16 + REGISTER_BYTES;

export interface TdReport {
  readonly teeTcbSvn: Bytes;
  /** Measurement and signer of the TDX module, and its attributes. */
  readonly mrSeam: Bytes;
  readonly mrSignerSeam: Bytes;
  readonly seamAttributes: Bytes;
  readonly tdAttributes: Bytes;
  /** Everything that a policy may pin, by name. */
  readonly registers: Readonly<Record<string, Bytes>>;
  readonly mrTd: Bytes;
  readonly reportData: Bytes;
}

export function readTdReport(bytes: Bytes): TdReport {
  const reader = new LayoutReader(bytes, "TD report");
  const teeTcbSvn = reader.take(16);
  const mrSeam = reader.take(REGISTER_BYTES);
  const mrSignerSeam = reader.take(REGISTER_BYTES);
  const seamAttributes = reader.take(8);
  const tdAttributes = reader.take(8);
  const xfam = reader.take(8);
  const mrTd = reader.take(REGISTER_BYTES);
  const registers = {
    mrtd: mrTd,
    mrconfigid: reader.take(REGISTER_BYTES),
    mrowner: reader.take(REGISTER_BYTES),
    mrownerconfig: reader.take(REGISTER_BYTES),
    rtmr0: reader.take(REGISTER_BYTES),
    rtmr1: reader.take(REGISTER_BYTES),
    rtmr2: reader.take(REGISTER_BYTES),
    rtmr3: reader.take(REGISTER_BYTES),
  };
  const reportData = reader.take(64);
  const own = { mrseam: mrSeam, td_attributes: tdAttributes, xfam };
  const late = bytes.length === TD15_BYTES ? readLateFields(reader) : {};
  return {
    ...{ teeTcbSvn, mrSeam, mrSignerSeam, seamAttributes, tdAttributes, mrTd, reportData },
    registers: { ...registers, ...own, ...late },
  };
}

/** What version 1.5 adds: versions after an update of the module while the domain ran, and its migration domain. */
function readLateFields(reader: LayoutReader): Record<string, Bytes> {
  return { tee_tcb_svn_2: reader.take(16), mrservicetd: reader.take(REGISTER_BYTES) };
}

const ATTRIBUTE_MIGRATABLE = 1 << (29 - 24);

/** Bits 0 to 7 are the domain's "under debug" group. */
export function isDebug({ tdAttributes }: TdReport): boolean {
  return !isZero(tdAttributes.subarray(0, 1));
}

export function isMigratable({ tdAttributes }: TdReport): boolean {
  return (tdAttributes[3]! & ATTRIBUTE_MIGRATABLE) !== 0;
}

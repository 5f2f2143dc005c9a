// What makes evidence: one for each interface of hardware, and one for none. Each gives back only what is bound to the
// report data that it was given, because interfaces have answered with old, empty or somebody else's reports.

import type { Evidence, HardwareEvidence, HardwareTee, Tee } from "../../attestation/evidence.ts";

/** What a report carries of the guest's own: fills the field of SEV-SNP, TDX and SGX. */
export const REPORT_DATA_BYTES = 64;

/** The run's own key, for evidence that no hardware signs. */
export interface Signer {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
  /** SHA-256 of the program. */
  readonly codeDigest: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface Attester {
  readonly tee: Tee;
  attest(reportData: Uint8Array, signer: Signer): Promise<Evidence>;
}

export interface HardwareAttester extends Attester {
  readonly tee: HardwareTee;
  /**
   * reportData: 64 bytes. Throws evidence.unavailable where something is missing on this machine, evidence.failed where
   * the hardware or its driver does not answer as it must, RangeError for another length.
   */
  attest(reportData: Uint8Array): Promise<HardwareEvidence>;
}

/** Lets time pass between attempts. */
export type Wait = (ms: number) => Promise<unknown>;

/** Interfaces cut longer data silently, and drivers refuse shorter data only when the report is read. */
export function requireReportData(reportData: Uint8Array): void {
  if (reportData.length === REPORT_DATA_BYTES) return;
  throw new RangeError(`expected ${REPORT_DATA_BYTES} bytes of report data, got ${reportData.length}`);
}

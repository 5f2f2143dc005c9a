// No hardware: the enclave's own key signs what a quote would say.

import type { SimulatedEvidence } from "../../attestation/evidence.ts";
import { makeSimulatedEvidence, type SimulatedReport } from "../../attestation/simulated.ts";
import type { IsolationLevel } from "../../isolation/level.ts";
import { type Attester, requireReportData, type Signer } from "./attester.ts";

export class SimulatedAttester implements Attester {
  readonly tee = "simulated";
  readonly #isolation: IsolationLevel;

  /** isolation: what the process has reached; the evidence says it. */
  constructor(isolation: IsolationLevel) {
    this.#isolation = isolation;
  }

  async attest(reportData: Uint8Array, signer: Signer): Promise<SimulatedEvidence> {
    requireReportData(reportData);
    const report: SimulatedReport = {
      tee: this.tee,
      isolation: this.#isolation,
      code_digest: new Uint8Array(signer.codeDigest),
      signature_public_key: new Uint8Array(signer.publicKey),
      not_before: signer.notBeforeMs,
      not_after: signer.notAfterMs,
      report_data: new Uint8Array(reportData),
    };
    return { tee: this.tee, document: makeSimulatedEvidence(report, signer.secretKey) };
  }
}

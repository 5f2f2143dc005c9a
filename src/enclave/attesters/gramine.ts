// SGX through Gramine's pseudo files (Gramine documentation, "Attestation and Secret Provisioning"): write
// user_report_data, read quote. The files are the process's own, so nothing disturbs them between two synchronous
// calls. The quote is made when its file is opened. Every failure, a manifest without attestation too, is EACCES.

import type { HardwareEvidence } from "../../attestation/evidence.ts";
import { deviceOf } from "../../attestation/tee-device.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { type HardwareAttester, requireReportData } from "./attester.ts";
import {
  explain,
  type FileOperations,
  type Meanings,
  readDevice,
  readDeviceText,
  writeDevice,
} from "./device-files.ts";
import { requireOwn } from "./own-report.ts";

const GRAMINE_ERRORS: Meanings = {
  ENOENT: { code: "evidence.unavailable", text: "Gramine's /dev/attestation is not there" },
  EACCES: { code: "evidence.failed", text: "Gramine makes no quote: its quoting service does not answer or refuses" },
  EPERM: { code: "evidence.unavailable", text: "the enclave may not open Gramine's files" },
};

const DCAP = "dcap";

export class Gramine implements HardwareAttester {
  readonly tee = "sgx";
  readonly #files: FileOperations;
  readonly #folder: string;

  /** folder: where Gramine's files are seen; its own place by default. */
  constructor(files: FileOperations, folder: string = deviceOf("sgx").interface) {
    this.#files = files;
    this.#folder = folder;
  }

  async attest(reportData: Uint8Array): Promise<HardwareEvidence> {
    requireReportData(reportData);
    try {
      this.#requireDcap();
      writeDevice(this.#files, `${this.#folder}/user_report_data`, reportData);
      const quote = readDevice(this.#files, `${this.#folder}/quote`, LIMITS.evidenceBytesMax);
      return requireOwn({ tee: "sgx", quote }, reportData);
    } catch (error) {
      throw explain(error, GRAMINE_ERRORS);
    }
  }

  #requireDcap(): void {
    const found = readDeviceText(this.#files, `${this.#folder}/attestation_type`);
    if (found === DCAP) return;
    const wanted = `expected sgx.remote_attestation = "${DCAP}" in the manifest, got "${found}"`;
    throw new QflareError("evidence.unavailable", wanted);
  }
}

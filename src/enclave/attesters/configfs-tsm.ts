// SEV-SNP and TDX through Linux 6.7 and later: Documentation/ABI/testing/configfs-tsm-report. A folder made under
// report/ is a request: write inblob, read outblob. Two traps of it shape this file. What is written to inblob reaches
// the driver at close, whose failure nobody is told, so that outblob may answer an earlier request: generation must
// have grown by exactly our writes, before and after. And every value is fixed when a file is first read, so each is
// opened anew.

import type { HardwareEvidence } from "../../attestation/evidence.ts";
import { deviceOf } from "../../attestation/tee-device.ts";
import { toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Random } from "../../core/ports.ts";
import { type HardwareAttester, requireReportData, type Wait } from "./attester.ts";
import { certificatesOfHost } from "./certificate-table.ts";
import {
  errnoOf,
  explain,
  type FileOperations,
  type Meaning,
  type Meanings,
  readDevice,
  readDeviceText,
  writeDevice,
} from "./device-files.ts";
import { requireOwn } from "./own-report.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const PROVIDERS = { "sev-snp": "sev_guest", tdx: "tdx_guest" } as const;

/** Made by root at the start of the machine where the enclave is not root; it stays. */
export const PREPARED_ENTRY = "qflare";

const missing = (text: string): Meaning => ({ code: "evidence.unavailable", text });
const failed = (text: string): Meaning => ({ code: "evidence.failed", text });
const passing = (text: string): Meaning => ({ code: "evidence.failed", text, isPassing: true });

/** Of fs/configfs, drivers/virt/coco/guest/report.c (before: coco/tsm.c), sev-guest and tdx-guest. */
export const TSM_ERRORS: Meanings = {
  ENOENT: missing("configfs-tsm is not there: it needs Linux 6.7 with CONFIG_TSM_REPORTS, and configfs mounted"),
  ENOTDIR: missing("configfs-tsm is not there"),
  ENXIO: missing("no driver offers reports: load sev-guest or tdx-guest"),
  ENODEV: missing("the driver is being unloaded"),
  EACCES: missing("the enclave may not ask for reports: prepare an entry for its user"),
  EPERM: missing("the enclave may not ask for reports: prepare an entry for its user"),
  EROFS: missing("configfs is mounted read-only"),
  EINVAL: failed("the driver refuses the request"),
  EIO: failed("the firmware refuses the request"),
  EFBIG: failed("the report is longer than the kernel takes"),
  ENOMEM: failed("the kernel has no memory for the report"),
  ENOTTY: failed("the driver is gone, or SEV-SNP's key to its firmware is disabled: only a new start helps"),
  ETXTBSY: failed("the file is being written"),
  EBUSY: passing("another request is on its way"),
  EAGAIN: passing("the report is not ready"), // EWOULDBLOCK is the same number
  EINTR: passing("a signal came between"),
  ETIMEDOUT: passing("the quoting service does not answer"),
};

export interface TsmPorts {
  readonly files: FileOperations;
  readonly random: Random;
  readonly wait: Wait;
  /** Where report/ is seen; the kernel's own place by default. */
  readonly folder?: string;
}

/** Somebody else wrote to our entry, or one of our writes was lost. */
const DISTURBED = Symbol("disturbed");

export class ConfigfsTsm implements HardwareAttester {
  readonly tee: "sev-snp" | "tdx";
  readonly #ports: TsmPorts;
  readonly #folder: string;

  constructor(tee: "sev-snp" | "tdx", ports: TsmPorts) {
    this.tee = tee;
    this.#ports = ports;
    this.#folder = ports.folder ?? deviceOf(tee).interface;
  }

  async attest(reportData: Uint8Array): Promise<HardwareEvidence> {
    requireReportData(reportData);
    const { entry, isOurs } = this.#openEntry();
    const evidence = await this.#ask(entry, reportData).catch((error: unknown) => {
      throw isOurs ? this.#abandoned(entry, error) : error;
    });
    if (isOurs) this.#coded(() => this.#ports.files.removeFolder(entry));
    return evidence;
  }

  #openEntry(): { entry: string; isOurs: boolean } {
    const prepared = `${this.#folder}/${PREPARED_ENTRY}`;
    if (this.#generation(prepared) !== undefined) return { entry: prepared, isOurs: false };
    const entry = `${prepared}-${toHex(this.#ports.random.bytes(8))}`;
    this.#coded(() => this.#ports.files.makeFolder(entry));
    return { entry, isOurs: true };
  }

  /** The error that counts, and an entry that stays behind as part of it. */
  #abandoned(entry: string, error: unknown): unknown {
    try {
      this.#ports.files.removeFolder(entry);
      return error;
    } catch (left) {
      const text = `${(error as Error).message}; ${entry} stays behind (${(left as Error).message})`;
      return new QflareError("evidence.failed", text, { cause: error });
    }
  }

  async #ask(entry: string, reportData: Uint8Array): Promise<HardwareEvidence> {
    let last: unknown;
    for (let attempt = 0; attempt < LIMITS.attestationAttemptsMax; attempt++) {
      if (attempt > 0) await this.#ports.wait(Math.min(100 * 4 ** attempt, LIMITS.attestationWaitMsMax));
      try {
        const evidence = this.#attempt(entry, reportData);
        if (evidence !== DISTURBED) return requireOwn(evidence, reportData);
        last = new QflareError("evidence.failed", `${entry}: expected nobody else to write to it`);
      } catch (error) {
        if (!isWorthAnother(error)) throw explain(error, TSM_ERRORS);
        last = explain(error, TSM_ERRORS);
      }
    }
    throw last;
  }

  #attempt(entry: string, reportData: Uint8Array): HardwareEvidence | typeof DISTURBED {
    const { files } = this.#ports;
    this.#requireProvider(entry);
    const before = this.#requireGeneration(entry);
    const writes = this.#writeLevel(entry) + 1n;
    writeDevice(files, `${entry}/inblob`, reportData);
    const expected = BigInt.asUintN(64, before + writes);
    // A write that was lost leaves an earlier request in place: no report of it is wanted.
    if (this.#requireGeneration(entry) !== expected) return DISTURBED;
    const report = readDevice(files, `${entry}/outblob`, LIMITS.evidenceBytesMax);
    const certificates = this.tee === "sev-snp" ? this.#readCertificates(entry) : undefined;
    if (this.#requireGeneration(entry) !== expected) return DISTURBED;
    if (this.tee === "tdx") return { tee: "tdx", quote: report };
    return { tee: "sev-snp", report, certificates: certificatesOfHost(certificates!) };
  }

  #requireProvider(entry: string): void {
    const expected = PROVIDERS[this.tee];
    const found = readDeviceText(this.#ports.files, `${entry}/provider`);
    if (found === expected) return;
    throw new QflareError("evidence.unavailable", `expected ${expected} behind configfs-tsm, got ${found}`);
  }

  /**
   * The most privileged level that the guest has, so that nothing below can speak for it. How many writes that took:
   * none for TDX, which has no levels.
   */
  #writeLevel(entry: string): bigint {
    if (this.tee === "tdx") return 0n;
    const { files } = this.#ports;
    writeDevice(files, `${entry}/privlevel`, readDeviceText(files, `${entry}/privlevel_floor`));
    return 1n;
  }

  /** Empty where the host gives none. */
  #readCertificates(entry: string): Bytes {
    return readDevice(this.#ports.files, `${entry}/auxblob`, LIMITS.evidenceBytesMax);
  }

  #requireGeneration(entry: string): bigint {
    return parseGeneration(readDeviceText(this.#ports.files, `${entry}/generation`));
  }

  /** undefined where there is no such entry. */
  #generation(entry: string): bigint | undefined {
    try {
      return this.#requireGeneration(entry);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw explain(error, TSM_ERRORS);
    }
  }

  #coded<T>(operation: () => T): T {
    try {
      return operation();
    } catch (error) {
      throw explain(error, TSM_ERRORS);
    }
  }
}

function isWorthAnother(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && TSM_ERRORS[errno]?.isPassing === true;
}

function parseGeneration(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw new QflareError("evidence.failed", `expected a generation, got ${text}`);
  return BigInt(text);
}

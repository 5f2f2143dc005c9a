// The attester of a kind of hardware on this machine. What it will need later it takes now: the process gives up the
// right to it before it serves.

import { setTimeout as sleep } from "node:timers/promises";
import type { HardwareTee } from "../../attestation/evidence.ts";
import { systemRandom } from "../../crypto/random.ts";
import { type HardwareAttester, REPORT_DATA_BYTES } from "./attester.ts";
import { ConfigfsTsm } from "./configfs-tsm.ts";
import { systemFiles } from "./device-files.ts";
import { Gramine } from "./gramine.ts";
import { Nitro } from "./nitro.ts";
import { NsmDevice, openNative } from "./nsm.ts";

/** Throws evidence.unavailable where what the attester is made from is missing. */
export async function openAttester(tee: HardwareTee): Promise<HardwareAttester> {
  switch (tee) {
    case "sev-snp":
    case "tdx":
      return new ConfigfsTsm(tee, { files: systemFiles, random: systemRandom, wait: sleep });
    case "sgx":
      return new Gramine(systemFiles);
    case "nitro":
      return new Nitro(new NsmDevice(await openNative()));
  }
}

/** Asks once, so that hardware that cannot attest is found at the start and not by the first device. */
export async function requireWorking(attester: HardwareAttester): Promise<void> {
  await attester.attest(new Uint8Array(REPORT_DATA_BYTES));
}

// By which files a guest knows what hardware it runs on, and through which it asks for evidence. First match counts:
// Gramine and Nitro run inside of machines that may show devices of their own.

import { type HardwareTee, TEES, type Tee } from "./evidence.ts";

export interface TeeDevice {
  readonly tee: HardwareTee;
  /** There wherever this hardware is, whether its interface for reports works or not. */
  readonly sign: string;
  /** What the attester reads and writes. */
  readonly interface: string;
  /** The files of it, as Node's permission model names them. */
  readonly grants: readonly string[];
}

const TSM = { interface: "/sys/kernel/config/tsm/report", grants: ["/sys/kernel/config/tsm/report/*"] } as const;
const GRAMINE = "/dev/attestation";
/** Not all that lies there: the sealing key does too. */
const GRAMINE_FILES = ["attestation_type", "user_report_data", "quote"].map((name) => `${GRAMINE}/${name}`);
const NSM = "/dev/nsm";

/** Gramine's pseudo file system, the Nitro driver, and Linux's drivers beside configfs-tsm. */
export const TEE_DEVICES: readonly TeeDevice[] = [
  { tee: "sgx", sign: GRAMINE_FILES[0]!, interface: GRAMINE, grants: GRAMINE_FILES },
  { tee: "nitro", sign: NSM, interface: NSM, grants: [NSM] },
  { tee: "sev-snp", sign: "/dev/sev-guest", ...TSM },
  { tee: "tdx", sign: "/dev/tdx_guest", ...TSM },
];

export const TEE_CHOICES = ["auto", ...TEES] as const;
export type TeeChoice = (typeof TEE_CHOICES)[number];

/**
 * auto is simulated only where no sign of hardware is there: hardware that cannot attest must fail, not pass for a
 * machine without.
 */
export function chooseTee(choice: TeeChoice, exists: (path: string) => boolean): Tee {
  if (choice !== "auto") return choice;
  return TEE_DEVICES.find(({ sign }) => exists(sign))?.tee ?? "simulated";
}

export function deviceOf(tee: HardwareTee): TeeDevice {
  return TEE_DEVICES.find((device) => device.tee === tee)!;
}

// By which files a guest knows what hardware it runs on, and through which it asks for evidence. First match counts:
// Gramine and Nitro run inside of machines that may show devices of their own.

import { type HardwareTee, TEES, type Tee } from "./evidence.ts";

export interface TeeDevice {
  readonly tee: HardwareTee;
  /** There wherever this hardware is, whether its interface for reports works or not. */
  readonly sign: string;
  /** What the attester reads and writes. */
  readonly interface: string;
}

/** Linux's drivers, the Nitro driver, and Gramine's pseudo file system. */
export const TEE_DEVICES: readonly TeeDevice[] = [
  { tee: "sgx", sign: "/dev/attestation/attestation_type", interface: "/dev/attestation" },
  { tee: "nitro", sign: "/dev/nsm", interface: "/dev/nsm" },
  { tee: "sev-snp", sign: "/dev/sev-guest", interface: "/sys/kernel/config/tsm/report" },
  { tee: "tdx", sign: "/dev/tdx_guest", interface: "/sys/kernel/config/tsm/report" },
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

export function interfaceOf(tee: HardwareTee): string {
  return TEE_DEVICES.find((device) => device.tee === tee)!.interface;
}

// Public entry "qflare": the device's side.

export type { Receipt } from "../wire/receipt.ts";
export { Device, type DeviceOptions } from "./device.ts";
export type { Releases } from "./enclave-trust.ts";
export type { DeviceEvent } from "./event.ts";
export { createProcessTrainer, type ProcessTrainerOptions } from "./process-trainer.ts";
export type { ProvenReceipt, Round } from "./round.ts";

// Public entry "qflare": the device's side.

export type { Receipt } from "../wire/receipt.ts";
export { Device, type DeviceOptions, type ProvenReceipt, type Round } from "./device.ts";
export type { DeviceEvent } from "./event.ts";
export { createProcessTrainer, type ProcessTrainerOptions } from "./process-trainer.ts";

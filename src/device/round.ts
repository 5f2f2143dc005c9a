// One round as a device's program sees it: a model to train, and where to hand in what was learned.

import type { Receipt } from "../wire/receipt.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** One round's work. */
export interface Round {
  readonly number: number;
  /** The global model's parameters, in the order of the model file. */
  readonly parameters: Float32Array<ArrayBuffer>;
  /** The model file (safetensors). */
  readonly model: Bytes;
  /** JSON text of the training plan. */
  readonly plan: string;
  readonly deadlineMs: number;
  /**
   * delta: local minus global parameters. Signs, seals to the enclave and submits; repeats until the server has it.
   * undefined where the round had ended before.
   */
  submit(delta: Float32Array, examples: number): Promise<ProvenReceipt | undefined>;
}

/** encoded: receipt, signature and proof, which hold without the server (see verifyReceipt). */
export type ProvenReceipt = Receipt & { readonly encoded: Uint8Array };

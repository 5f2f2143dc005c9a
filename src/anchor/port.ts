// Anchors: places outside of a run's reach where the root of its audit log is written down, so that whoever rewrote the
// log would have to rewrite them too.

import type { Checkpoint } from "../wire/checkpoint.ts";

/** Where a checkpoint was written, in the words of the anchor. */
export interface AnchorReceipt {
  /** Of the transaction, or whatever stands for it. */
  readonly reference: string;
  /** Height of the block that holds it. */
  readonly height: number;
}

export interface Anchor {
  /** Resolves when it cannot be taken back any more. Throws anchor.unavailable, anchor.mismatch. */
  publish(checkpoint: Checkpoint): Promise<AnchorReceipt>;
  /** Root that stands there for a tree of this size; undefined where there is none. Throws anchor.unavailable. */
  read(origin: string, size: number): Promise<Uint8Array | undefined>;
}

// Anchors: places out of a run's reach where roots of its audit log are written down, so that whoever rewrote the log
// would have to rewrite them too.

import { equal } from "../core/bytes.ts";
import type { Checkpoint } from "../wire/checkpoint.ts";

export interface AnchorReceipt {
  /** Names what was written there: of a chain, the transaction. */
  readonly reference: string;
  readonly height: number;
}

export type Anchored = Pick<Checkpoint, "size" | "root">;

export interface Anchor {
  /** Resolves when it is as final as the anchor was told to wait for. Throws anchor.unavailable. */
  publish(checkpoint: Checkpoint): Promise<AnchorReceipt>;
  /** All that stands there of this log, the earliest first. Throws anchor.unavailable. */
  read(origin: string): Promise<Anchored[]>;
}

export interface AnchorVerdict {
  readonly problems: readonly string[];
  readonly anchored: number;
}

/**
 * Holds what is anchored against a log. rootAt: the root over its first entries of that number, undefined where it has
 * fewer.
 */
export function judgeAnchored(
  anchored: readonly Anchored[],
  rootAt: (size: number) => Uint8Array | undefined,
): AnchorVerdict {
  const problems = anchored.flatMap(({ size, root }) => {
    const own = rootAt(size);
    if (own === undefined) return [`the chain holds a root over ${size} entries, the log has fewer`];
    return equal(own, root)
      ? []
      : [`the chain holds another root over ${size} entries than the log: its history was rewritten`];
  });
  return { problems, anchored: anchored.length };
}

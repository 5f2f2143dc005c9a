// Adaptive robust clipping. Shortens the longest updates to the norm of the longest one that is left alone.

import { clipFactors, scaled } from "../batch.ts";
import { atLeast, liars } from "../parameter.ts";
import type { PreAggregator } from "../rule.ts";

export interface ArcParameters {
  readonly f: number;
}

export const arc: PreAggregator<ArcParameters> = {
  name: "arc",
  summary: "Clips the k = floor(2f (n - f) / n) longest updates to the next norm; its scores are the factors.",
  source: "Allouah et al., Adaptive Gradient Clipping for Robust Federated Learning, ICLR 2025",
  parameters: { f: liars() },
  weights: "ignored",
  complexity: "n D",
  limits: "Sign flips, backdoors. Hides boosted backdoors from the distance rule behind it.",
  requirement: ({ f }) => atLeast(2 * f + 1, "n > 2f"),
  prepare: (engine, batch, { f }) => {
    const n = batch.members.length;
    const clipped = Math.floor((2 * f * (n - f)) / n);
    const c = batch.norms.toSorted((a, b) => b - a)[clipped];
    const scores = clipFactors(batch.norms, c);
    return { batch: scaled(engine, batch, scores), rejected: [], scores };
  },
};

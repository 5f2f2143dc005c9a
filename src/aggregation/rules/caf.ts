// Covariance-bound agnostic filter. Takes weight from the updates that stick out along the direction of largest
// variance, again and again, and gives the weighted mean of the step where that variance was least.

import { type Distances, squaredDistances } from "../../math/pairs.ts";
import { shares } from "../affine.ts";
import { liars } from "../parameter.ts";
import type { Rule } from "../rule.ts";
import { mainDirection } from "../spectral.ts";

export interface CafParameters {
  readonly f: number;
}

export const caf: Rule<CafParameters> = {
  name: "caf",
  summary:
    "Weighted mean after spectral down-weighting, until the weights add up to n - 2f; its scores are the weights.",
  source: "Allouah et al., Towards Trustworthy Federated Learning with Untrusted Participants, ICML 2025",
  parameters: { f: liars() },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D + f n^2",
  limits: "Shifts within the honest spread (ALIE). Small lies in a direction where honest updates differ more.",
  requirement: ({ f }) => ({ updatesMin: 2 * f + 1, updatesMax: 256, words: "2f < n <= 256" }),
  combine: (engine, batch, { f }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const scores = filteredWeights(distances, f);
    const delta = engine.map("rowsSum", batch.rows, { weights: shares(scores) });
    return { delta, selected: scores.flatMap((weight, row) => (weight > 0 ? [row] : [])), scores };
  },
};

/** Each step takes the whole weight of at least one update, so there are at most 2f steps. */
function filteredWeights(distances: Distances, f: number): number[] {
  let weights = new Array<number>(distances.count).fill(1);
  let best = weights;
  let least = Number.POSITIVE_INFINITY;
  do {
    const { variance, squaredParts } = mainDirection(distances, weights);
    if (variance < least) {
      least = variance;
      best = weights;
    }
    const largest = squaredParts.reduce((most, part, row) => (weights[row] > 0 ? Math.max(most, part) : most), 0);
    if (largest === 0) break;
    weights = weights.map((weight, row) => weight * Math.max(0, 1 - squaredParts[row] / largest));
  } while (weights.reduce((a, b) => a + b, 0) > distances.count - 2 * f);
  return best;
}

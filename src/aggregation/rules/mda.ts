// Minimum-diameter averaging. Mean of the n - f updates that lie closest together. Tries subsets: for few updates only.

import type { Distances } from "../../math/pairs.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { meanOf } from "../batch.ts";
import { liars } from "../parameter.ts";
import type { Rule } from "../rule.ts";

export interface MdaParameters {
  readonly f: number;
}

export const mda: Rule<MdaParameters> = {
  name: "mda",
  summary: "Mean of the n - f updates whose largest mutual distance is least.",
  source: "El Mhamdi et al., Genuinely Distributed Byzantine Machine Learning, PODC 2020",
  parameters: { f: liars() },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D + n choose f",
  limits: "Shifts within the honest spread (ALIE).",
  requirement: ({ f }) => ({ updatesMin: 2 * f + 1, updatesMax: 25, words: "2f < n <= 25" }),
  combine: (engine, batch, { f }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const selected = closest(distances, distances.count - f);
    return { delta: meanOf(engine, batch, selected), selected };
  },
};

/** The subset of this size with the least diameter, the first one in lexicographic order where several have it. */
function closest({ count, squared }: Distances, size: number): number[] {
  let best: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  const extend = (chosen: number[], diameter: number, next: number): void => {
    if (diameter >= least) return;
    if (chosen.length === size) {
      best = chosen;
      least = diameter;
      return;
    }
    for (let row = next; row <= count - size + chosen.length; row++) {
      const reach = chosen.reduce((most, other) => Math.max(most, squared[row * count + other]), diameter);
      extend([...chosen, row], reach, row + 1);
    }
  };
  extend([], 0, 0);
  return best;
}

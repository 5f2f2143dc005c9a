// Bulyan. Krum picks n - 2f updates one after the other; then each coordinate takes the mean of those nearest to the
// median of the picked ones. Closes Krum's gap of lies in few coordinates; needs n >= 4f + 3.

import type { Distances } from "../../math/pairs.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { pickRows } from "../../math/rows.ts";
import { ascending } from "../batch.ts";
import { liars } from "../parameter.ts";
import type { Rule } from "../rule.ts";

export interface BulyanParameters {
  readonly f: number;
}

export const bulyan: Rule<BulyanParameters> = {
  name: "bulyan",
  summary: "Krum picks n - 2f updates; mean of the n - 4f values of each coordinate nearest to their median.",
  source: "El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018",
  parameters: { f: liars() },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D + n^3",
  limits: "Shifts within the honest spread (ALIE, IPM). Loses accuracy where the devices' data differ.",
  requirement: ({ f }) => ({ updatesMin: 4 * f + 3, updatesMax: 256, words: "n >= 4f + 3, n <= 256" }),
  combine: (engine, batch, { f }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const selected = pickInTurn(distances, f).sort((a, b) => a - b); // of values as far the first update's enters
    const picked = pickRows(batch.rows, selected);
    const delta = engine.map("meanAroundMedian", picked, { kept: selected.length - 2 * f });
    return { delta, selected };
  },
};

/**
 * The best by Krum among those that are left, n - 2f times, each scored by its max(1, n' - f - 2) nearest of the n'
 * left. Keeps every row's neighbours in order, so that a round of picking costs n^2 and sorts nothing.
 */
function pickInTurn({ count, squared }: Distances, f: number): number[] {
  const order = Array.from({ length: count }, (_, row) => {
    const own = squared.subarray(row * count, (row + 1) * count);
    return ascending(own).filter((other) => other !== row);
  });
  const isLeft = new Array<boolean>(count).fill(true);
  const picked: number[] = [];
  for (let left = count; picked.length < count - 2 * f; left--) {
    const neighbours = Math.max(1, left - f - 2);
    const scores = order.map((others, row) => (isLeft[row] ? nearestSum(others, row, neighbours) : Infinity));
    const best = ascending(scores)[0];
    isLeft[best] = false;
    picked.push(best);
  }
  return picked;

  function nearestSum(others: readonly number[], row: number, neighbours: number): number {
    let sum = 0;
    let found = 0;
    for (const other of others) {
      if (!isLeft[other]) continue;
      sum += squared[row * count + other];
      if (++found === neighbours) break;
    }
    return sum;
  }
}

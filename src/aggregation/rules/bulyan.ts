// Bulyan. Krum picks n - 2f updates one after the other; then each coordinate takes the mean of those nearest to the
// median of the picked ones. Closes Krum's gap of lies in few coordinates; needs n >= 4f + 3.

import type { Distances } from "../../math/pairs.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { meanAroundMedian } from "../../math/select.ts";
import { ascending } from "../batch.ts";
import { krumScores } from "../neighbours.ts";
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
  complexity: "n^2 D + n^3 log n",
  limits: "Shifts within the honest spread (ALIE, IPM). Loses accuracy where the devices' data differ.",
  requirement: ({ f }) => ({ updatesMin: 4 * f + 3, updatesMax: 256, words: "n >= 4f + 3, n <= 256" }),
  combine: (reducer, batch, { f }) => {
    const distances = squaredDistances(reducer, batch.rows, batch.length);
    const selected = pickInTurn(distances, f);
    const rows = selected.map((row) => batch.rows[row]);
    return { delta: meanAroundMedian(reducer, rows, batch.length, rows.length - 2 * f), selected };
  },
};

/** The best by Krum among those that are left, n - 2f times. */
function pickInTurn(distances: Distances, f: number): number[] {
  let left = Array.from({ length: distances.count }, (_, row) => row);
  const picked: number[] = [];
  while (picked.length < distances.count - 2 * f) {
    const scores = krumScores(distances, left, Math.max(1, left.length - f - 2));
    const best = left[ascending(scores)[0]];
    picked.push(best);
    left = left.filter((row) => row !== best);
  }
  return picked;
}

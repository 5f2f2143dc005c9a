// FLAME. Keeps the one cluster of directions that holds a majority, clips it to the median norm, and adds a little
// noise that washes out what is left of a backdoor.
//
// The paper clusters by HDBSCAN with clusters of more than n / 2 and one neighbour. Two such clusters cannot be, so
// what it finds is the first single-linkage component that reaches this size.

import { float } from "../../core/shape.ts";
import type { Distances } from "../../math/pairs.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { PseudoRandom } from "../../math/random.ts";
import { cosines } from "../angles.ts";
import { clipFactors, everyRow, median, seedOf } from "../batch.ts";
import { atLeastPaired } from "../parameter.ts";
import type { Batch, Rule } from "../rule.ts";
import { optional } from "../rule.ts";

export interface FlameParameters {
  readonly lambda?: number;
}

export const flame: Rule<FlameParameters> = {
  name: "flame",
  summary:
    "Mean of the majority cluster of directions, clipped to the median norm S, plus noise of deviation lambda S.",
  source: "Nguyen et al., FLAME: Taming Backdoors in Federated Learning, USENIX Security 2022",
  parameters: { lambda: optional(float(0, 1), "noise for each coordinate, in median norms; 0.001 where absent") },
  weights: "ignored",
  complexity: "n^2 D",
  limits: "Lies in the direction of honest updates. Devices with rare data fall out. The noise is no privacy noise.",
  requirement: () => atLeastPaired(3, "n >= 3; robust against f < n / 2"),
  combine: (engine, batch, { lambda = 0.001 }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const selected = majority(distances, batch.norms);
    const bound = median(batch.norms);
    const factors = clipFactors(batch.norms, bound);
    const weights = everyRow(batch).map(() => 0);
    for (const row of selected) weights[row] = factors[row] / selected.length;
    const delta = engine.map("rowsSum", batch.rows, { weights });
    addNoise(delta, lambda * bound, batch);
    return { delta, selected };
  },
};

/** The first component of more than half of the rows, as links are made from the most alike pair on. */
function majority(distances: Distances, norms: readonly number[]): number[] {
  const { count } = distances;
  const links = spanningTree(cosines(distances, norms), count).sort((a, b) => b.cosine - a.cosine || a.row - b.row);
  const component = Int32Array.from({ length: count }, (_, row) => row);
  let rows = [0];
  for (const { row, parent } of links) {
    const [joined, left] = [component[row], component[parent]];
    for (let i = 0; i < count; i++) if (component[i] === left) component[i] = joined;
    rows = [...component.keys()].filter((i) => component[i] === joined);
    if (2 * rows.length > count) break;
  }
  return rows;
}

interface Link {
  readonly row: number;
  readonly parent: number;
  readonly cosine: number;
}

/** Links each row to the rest by its most alike (Prim): the links that single linkage would make. */
function spanningTree(alike: Float64Array, count: number): Link[] {
  const parent = new Int32Array(count);
  const nearest = Float64Array.from({ length: count }, (_, row) => alike[row]);
  const isIn = new Uint8Array(count).fill(1, 0, 1);
  const links: Link[] = [];
  while (links.length < count - 1) {
    let row = -1;
    for (let i = 0; i < count; i++) if (isIn[i] === 0 && (row < 0 || nearest[i] > nearest[row])) row = i;
    links.push({ row, parent: parent[row], cosine: nearest[row] });
    isIn[row] = 1;
    for (let i = 0; i < count; i++) {
      if (isIn[i] === 1 || alike[row * count + i] <= nearest[i]) continue;
      nearest[i] = alike[row * count + i];
      parent[i] = row;
    }
  }
  return links;
}

function addNoise(delta: Float32Array, deviation: number, batch: Batch): void {
  if (deviation === 0) return;
  const random = new PseudoRandom(seedOf(batch.norms), "flame");
  for (let i = 0; i < delta.length; i++) delta[i] += deviation * random.gaussian();
}

// The pixel backdoor (Gu, Dolan-Gavitt, Garg, "BadNets", 2017): a white patch in the corner of a square picture makes
// it class 0.

import type { Dataset } from "../learning/dataset.ts";
import { gatherRows } from "../learning/dataset.ts";
import { PseudoRandom } from "../math/random.ts";

const PATCH_SIDE = 3;
/** From the lower right corner. */
const PATCH_MARGIN = 1;
const BACKDOOR_TARGET = 0;
const POISONED_SHARE = 0.5;

/** Where the patch is: 9 inputs of a square picture; the last 9 inputs where the examples are no pictures. */
function patchOf(inputs: number): number[] {
  const side = Math.sqrt(inputs);
  if (!Number.isInteger(side) || side < PATCH_SIDE + PATCH_MARGIN) {
    return Array.from({ length: Math.min(PATCH_SIDE ** 2, inputs) }, (_, i) => inputs - 1 - i);
  }
  const first = side - PATCH_MARGIN - PATCH_SIDE;
  const places = Array.from({ length: PATCH_SIDE }, (_, i) => first + i);
  return places.flatMap((row) => places.map((column) => row * side + column));
}

function patch(dataset: Dataset, rows: Iterable<number>): void {
  const white = dataset.features.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const places = patchOf(dataset.inputs);
  for (const row of rows) for (const place of places) dataset.features[row * dataset.inputs + place] = white;
}

/** A copy in which half of the examples carry the patch and are taught as class 0. */
export function patched(dataset: Dataset, seed: number): Dataset {
  const order = new PseudoRandom(seed, "backdoor").permutation(dataset.count);
  const rows = order.subarray(0, Math.ceil(POISONED_SHARE * dataset.count));
  const copy = { ...dataset, features: dataset.features.slice(), labels: dataset.labels.slice() };
  patch(copy, rows);
  for (const row of rows) copy.labels[row] = BACKDOOR_TARGET;
  return copy;
}

/** Test examples of other classes, all patched and labelled 0: accuracy on them is the success of the backdoor. */
export function triggered(test: Dataset): Dataset {
  const rows = Int32Array.from(Array.from(test.labels.keys()).filter((row) => test.labels[row] !== BACKDOOR_TARGET));
  const features = new Float32Array(rows.length * test.inputs);
  const labels = new Int32Array(rows.length);
  gatherRows(test, rows, features, labels);
  const copy = { ...test, features, labels: labels.fill(BACKDOOR_TARGET), count: rows.length };
  patch(copy, Array.from(rows.keys()));
  return copy;
}

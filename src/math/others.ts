// The median of all rows but one, for each of them at once: what a row is compared with when it must have no say in it.

import { rankNetwork } from "./network.ts";
import type { Reducer } from "./reducer.ts";
import type { Rows, Vector } from "./select.ts";
import { eachPanel, STRIDE } from "./select.ts";
import { BLOCK, load, padded } from "./vector.ts";

/**
 * One coordinate of the median of the others takes three values at most: below where the row left out lies under the
 * pivot, above where it lies over it, below + above - pivot where it is the pivot.
 */
export interface OthersMedian {
  readonly pivot: Vector;
  readonly below: Vector;
  readonly above: Vector;
}

/**
 * At least two rows. Leaving out one of 2k rows makes the other one of the two middle values the median; leaving out
 * one of 2k + 1 makes it the mean of two of the three middle values.
 */
export function othersMedian(reducer: Reducer, rows: Rows, length: number, scales: ArrayLike<number>): OthersMedian {
  const odd = rows.length % 2;
  const k = Math.floor((rows.length - 1) / 2);
  const comparators = reducer.network(rankNetwork, rows.length, k - odd, k + 2);
  const [pivot, below, above] = [new Float32Array(length), new Float32Array(length), new Float32Array(length)];
  const visit = (panel: number, _areas: readonly number[], start: number, width: number): void => {
    const values = reducer.f32;
    const step = STRIDE / 4;
    for (let i = 0, at = panel / 4 + k * step; i < width; i++, at++) {
      const middle = values[at];
      pivot[start + i] = middle;
      below[start + i] = odd === 0 ? values[at + step] : (middle + values[at + step]) / 2;
      above[start + i] = odd === 0 ? middle : (values[at - step] + middle) / 2;
    }
  };
  eachPanel(reducer, { rows, length, comparators, areas: [], visit, scales });
  return { pivot, below, above };
}

/** Of a vector with the median of the other rows, and the squared norm of that median. */
export interface Products {
  readonly product: number;
  readonly squaredNorm: number;
}

/** x is one of the rows that others was made of, factor its scale there. */
export function dotOthers(reducer: Reducer, x: Float32Array, factor: number, others: OthersMedian): Products {
  const { pivot, below, above } = others;
  const [sums, px, pp, pb, pa] = reducer.reserve(16, ...[x, pivot, below, above].map(() => 4 * BLOCK)) as number[];
  reducer.f64.fill(0, sums / 8, sums / 8 + 2);
  for (let start = 0; start < x.length; start += BLOCK) {
    const length = Math.min(BLOCK, x.length - start);
    load(reducer, px, x, start, length);
    load(reducer, pp, pivot, start, length);
    load(reducer, pb, below, start, length);
    load(reducer, pa, above, start, length);
    reducer.run.dotOthers(sums, px, factor, pp, pb, pa, padded(length));
  }
  return { product: reducer.f64[sums / 8], squaredNorm: reducer.f64[sums / 8 + 1] };
}

// The median of all rows but one, for each of them at once: what a row is compared with when it must have no say in it.

import { rankNetwork } from "./network.ts";
import { openPanel, type Panel } from "./panel.ts";
import type { Reducer } from "./reducer.ts";
import { type Rows, rowCount, type Vector } from "./rows.ts";
import { eachPanel, type Scales, STRIDE } from "./select.ts";
import { load, padded } from "./vector.ts";

const COLUMNS = 512;

/**
 * One coordinate of the median of the others takes three values at most: below where the row left out lies under the
 * pivot, above where it lies over it, below + above - pivot where it is the pivot.
 */
interface OthersMedian {
  readonly pivot: Vector;
  readonly below: Vector;
  readonly above: Vector;
}

/**
 * At least two rows. Leaving out one of 2k rows makes the other one of the two middle values the median; leaving out
 * one of 2k + 1 makes it the mean of two of the three middle values.
 */
function othersMedian(reducer: Reducer, rows: Rows, scales: Scales): OthersMedian {
  const count = rowCount(rows);
  const odd = count % 2;
  const k = Math.floor((count - 1) / 2);
  const comparators = reducer.network(rankNetwork, count, k - odd, k + 2);
  const [pivot, below, above] = Array.from({ length: 3 }, () => new Float32Array(rows.length));
  const visit = ({ pointer }: Panel, start: number, width: number): void => {
    const values = reducer.f32;
    const step = STRIDE / 4;
    for (let i = 0, at = pointer / 4 + k * step; i < width; i++, at++) {
      const middle = values[at];
      pivot[start + i] = middle;
      below[start + i] = odd === 0 ? values[at + step] : (middle + values[at + step]) / 2;
      above[start + i] = odd === 0 ? middle : (values[at - step] + middle) / 2;
    }
  };
  eachPanel(reducer, { rows, comparators, areas: [], visit, scales });
  return { pivot, below, above };
}

/**
 * Of each row: its product with the median of the others, and the squared norm of that median; 2 * count values. Row r
 * counts as scales[r] * rows[r] in the medians and as itself in the products.
 */
export function otherProducts(reducer: Reducer, rows: Rows, { scales }: { readonly scales: Scales }): Float64Array {
  const others = othersMedian(reducer, rows, scales);
  const out = new Float64Array(2 * scales.length);
  const panel = openPanel(reducer, rows, {
    columns: COLUMNS,
    areas: [16, 4 * COLUMNS, 4 * COLUMNS, 4 * COLUMNS],
    inPlace: true,
  });
  const [sums, pivot, below, above] = panel.areas;
  for (let start = 0; start < rows.length; start += COLUMNS) {
    const width = Math.min(COLUMNS, rows.length - start);
    panel.load(start, width);
    load(reducer, pivot, others.pivot, start, width);
    load(reducer, below, others.below, start, width);
    load(reducer, above, others.above, start, width);
    for (let r = 0; r < scales.length; r++) {
      reducer.f64.fill(0, sums / 8, sums / 8 + 2);
      reducer.run.dotOthers(sums, panel.row(r), scales[r], pivot, below, above, padded(width));
      out[2 * r] += reducer.f64[sums / 8];
      out[2 * r + 1] += reducer.f64[sums / 8 + 1];
    }
  }
  return out;
}

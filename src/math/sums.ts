// Sums of rows, and products of rows with themselves and with one of them; also of blends. All accumulate in float64.

import { openPanel } from "./panel.ts";
import type { Reducer } from "./reducer.ts";
import { type Rows, rowCount, type Vector, weightsOfGiven } from "./rows.ts";
import { dot, padded, squaredNorms as squaresOf, weightedSum } from "./vector.ts";

const COLUMNS = 1024;

/** Sum of weights[r] * rows[r]. Rows are finite, so those of weight 0 are not read: most, where a rule picks a few. */
export function rowsSum(reducer: Reducer, rows: Rows, { weights }: { readonly weights: ArrayLike<number> }): Vector {
  const ofGiven = weightsOfGiven(rows, weights);
  const read = rows.given.filter((_, r) => ofGiven[r] !== 0);
  return weightedSum(
    reducer,
    read,
    ofGiven.filter((weight) => weight !== 0),
    rows.length,
  );
}

/** Of each row. Not finite exactly where a value is not: no float32 is large enough to overflow the sum. */
export function squaredNorms(reducer: Reducer, rows: Rows, _: object): Float64Array {
  return rows.blends === undefined ? squaresOf(reducer, rows.given) : overPanels(reducer, rows, (row) => row);
}

/** Of each row with the last one. */
export function dots(reducer: Reducer, rows: Rows, _: object): Float64Array {
  const last = rows.given.at(-1)!;
  if (rows.blends === undefined) return Float64Array.from(rows.given, (row) => dot(reducer, row, last));
  return overPanels(reducer, rows, (_row, end) => end);
}

/** Products of each row with the one at the offset that other gives for the row's and the last row's. */
function overPanels(reducer: Reducer, rows: Rows, other: (row: number, last: number) => number): Float64Array {
  const out = new Float64Array(rowCount(rows));
  const panel = openPanel(reducer, rows, { columns: COLUMNS });
  for (let start = 0; start < rows.length; start += COLUMNS) {
    const width = Math.min(COLUMNS, rows.length - start);
    panel.load(start, width);
    const end = panel.row(out.length - 1);
    for (let r = 0; r < out.length; r++) {
      const row = panel.row(r);
      out[r] += reducer.run.dot(row, other(row, end), padded(width));
    }
  }
  return out;
}

// Signs of values: how many rows agree on a coordinate, and how many values of a row are positive, zero, negative.

import { openPanel } from "./panel.ts";
import type { Reducer } from "./reducer.ts";
import { type Rows, rowCount, type Vector } from "./rows.ts";

const COLUMNS = 512;

/** Of each coordinate: rows with a positive value less rows with a negative one. */
export function signSums(reducer: Reducer, rows: Rows, _: object): Vector {
  const out = new Float32Array(rows.length);
  eachRow(reducer, rows, (_row, at, start, width) => {
    const values = reducer.f32;
    for (let i = 0; i < width; i++) out[start + i] += Math.sign(values[at + i]);
  });
  return out;
}

/** Of each row: how many values are positive, and how many negative; 2 * count values. */
export function signCounts(reducer: Reducer, rows: Rows, _: object): Float64Array {
  const out = new Float64Array(2 * rowCount(rows));
  eachRow(reducer, rows, (row, at, _start, width) => {
    const values = reducer.f32;
    let positive = 0;
    let negative = 0;
    for (let i = 0; i < width; i++) {
      positive += Number(values[at + i] > 0);
      negative += Number(values[at + i] < 0);
    }
    out[2 * row] += positive;
    out[2 * row + 1] += negative;
  });
  return out;
}

/** Shows each row of each panel: its number, where it starts in the float32 view, its first column and its width. */
function eachRow(
  reducer: Reducer,
  rows: Rows,
  visit: (row: number, at: number, start: number, width: number) => void,
): void {
  const panel = openPanel(reducer, rows, { columns: COLUMNS, inPlace: true });
  for (let start = 0; start < rows.length; start += COLUMNS) {
    const width = Math.min(COLUMNS, rows.length - start);
    panel.load(start, width);
    for (let r = 0; r < rowCount(rows); r++) visit(r, panel.row(r) / 4, start, width);
  }
}

// Inner products and differences of pairs of rows.

import { openPanel } from "./panel.ts";
import type { Reducer } from "./reducer.ts";
import { type Rows, rowCount } from "./rows.ts";
import { padded } from "./vector.ts";

const PANEL = 1024; // columns copied at once: fewer, longer copies
const SLICE = 512; // columns that the kernel multiplies at once: 128 products a lane are added in float32

/** Inner products of all pairs after the reference row is subtracted: count * count values, of which i <= j are set. */
export function products(reducer: Reducer, rows: Rows, { reference }: { readonly reference: number }): Float64Array {
  const count = rowCount(rows);
  const even = Math.ceil(count / 4) * 4; // the kernel works on tiles of four rows
  const areas = [8 * even * even];
  const panel = openPanel(reducer, rows, { columns: PANEL, spareRows: even - count, areas, inPlace: true });
  const [sums] = panel.areas;
  reducer.f64.fill(0, sums / 8, sums / 8 + even * even);
  for (let start = 0; start < rows.length; start += PANEL) {
    const width = Math.min(PANEL, rows.length - start);
    panel.load(start, width);
    reducer.run.subtractRow(panel.pointer, panel.stride, panel.table, count, reference, padded(width));
    for (let slice = 0; slice < width; slice += SLICE) {
      const length = padded(Math.min(SLICE, width - slice));
      reducer.run.products(sums, panel.pointer + 4 * slice, even, panel.stride, length);
    }
  }
  const out = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    const at = sums / 8 + i * even;
    out.set(reducer.f64.subarray(at, at + count), i * count);
  }
  return out;
}

/** Squared distances of the pairs (pairs[2k], pairs[2k + 1]), by their differences in float64. */
export function differences(
  reducer: Reducer,
  rows: Rows,
  { pairs }: { readonly pairs: ArrayLike<number> },
): Float64Array {
  const out = new Float64Array(pairs.length / 2);
  if (out.length === 0) return out;
  const panel = openPanel(reducer, rows, { columns: PANEL, inPlace: true });
  for (let start = 0; start < rows.length; start += PANEL) {
    const width = Math.min(PANEL, rows.length - start);
    panel.load(start, width);
    for (let k = 0; k < out.length; k++) {
      const x = panel.row(pairs[2 * k]);
      const y = panel.row(pairs[2 * k + 1]);
      out[k] += reducer.run.squaredDistance(x, y, padded(width));
    }
  }
  return out;
}

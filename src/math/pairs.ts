// Squared distances between all pairs of rows, in one pass over the data.

import type { Reducer } from "./reducer.ts";
import { load, padded } from "./vector.ts";

const COLUMNS = 256; // 100 rows of float64 take 200 kB of a second-level cache
const STRIDE = 8 * COLUMNS + 64; // bytes; rows a power of two apart would share one cache set

/** A symmetric matrix of count * count values, row by row, float64. */
export interface Distances {
  readonly count: number;
  readonly squared: Float64Array;
}

export function squaredDistances(reducer: Reducer, rows: readonly Float32Array[], length: number): Distances {
  const count = rows.length;
  const even = count + (count % 2); // the kernel works on pairs of rows; a last single row meets a row of zeros
  const [narrow, sums, panel] = reducer.reserve(4 * COLUMNS, 8 * even * even, even * STRIDE) as [
    number,
    number,
    number,
  ];
  reducer.f64.fill(0, sums / 8, sums / 8 + even * even);
  reducer.f64.fill(0, panel / 8, panel / 8 + (even * STRIDE) / 8);
  for (let start = 0; start < length; start += COLUMNS) {
    const width = Math.min(COLUMNS, length - start);
    for (let r = 0; r < count; r++) {
      load(reducer, narrow, rows[r], start, width);
      reducer.run.widen(panel + r * STRIDE, narrow, padded(width));
    }
    reducer.run.squaredDistances(sums, panel, even, STRIDE, padded(width));
  }
  return { count, squared: mirrored(reducer.f64.subarray(sums / 8, sums / 8 + even * even), even, count) };
}

function mirrored(upper: Float64Array, width: number, count: number): Float64Array {
  const out = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      out[i * count + j] = upper[i * width + j];
      out[j * count + i] = upper[i * width + j];
    }
  }
  return out;
}

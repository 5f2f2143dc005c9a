// Squared distances between all pairs of rows, from one pass of products in float32 that are summed in float64.
//
// |x - y|^2 = |x|^2 + |y|^2 - 2 x.y loses the digits of rows that are near one another and far from the origin. Two
// things keep them: one of the rows, of middle length, is subtracted from all of them first (exact where they are
// near), and pairs that cancel in spite of it are taken again by their differences.

import type { Engine } from "./engine.ts";
import { type Rows, rowCount } from "./rows.ts";

/** Up to so many values of all pairs, differences cost less than a tenth of a second. */
const DIFFERENCES_MAX = 2 ** 26;
/** Under this share of |x|^2 + |y|^2 a distance is taken again: its relative error could pass 2^-24 / 2^-7. */
const CANCELLED = 2 ** -7;

/** A symmetric matrix of count * count values, row by row, float64. */
export interface Distances {
  readonly count: number;
  readonly squared: Float64Array;
}

/** norms: of the rows, to choose the one that is subtracted. */
export function squaredDistances(engine: Engine, rows: Rows, norms: readonly number[]): Distances {
  const count = rowCount(rows);
  const out = { count, squared: new Float64Array(count * count) };
  const few = count * count * rows.length <= DIFFERENCES_MAX;
  const doubtful = few ? everyPair(count) : fromProducts(engine, rows, middleOf(norms), out);
  const exact = engine.sum("differences", rows, { pairs: doubtful });
  for (const [k, value] of exact.entries()) put(out, doubtful[2 * k], doubtful[2 * k + 1], value);
  return out;
}

/** Fills in the distances and returns the pairs whose digits cancelled. */
function fromProducts(engine: Engine, rows: Rows, reference: number, out: Distances): number[] {
  const { count } = out;
  const gram = engine.sum("products", rows, { reference });
  const cancelled: number[] = [];
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const size = gram[i * count + i] + gram[j * count + j];
      const value = size - 2 * gram[i * count + j];
      put(out, i, j, value);
      if (!(value > CANCELLED * size && Number.isFinite(value))) cancelled.push(i, j);
    }
  }
  return cancelled;
}

function put({ count, squared }: Distances, i: number, j: number, value: number): void {
  squared[i * count + j] = value;
  squared[j * count + i] = value;
}

function everyPair(count: number): number[] {
  const pairs: number[] = [];
  for (let i = 0; i < count; i++) for (let j = i + 1; j < count; j++) pairs.push(i, j);
  return pairs;
}

/** The row of the lower median norm: fewer than half of the rows cannot make it a long one. */
function middleOf(norms: readonly number[]): number {
  const order = norms.map((_, row) => row).sort((a, b) => norms[a] - norms[b] || a - b);
  return order[(order.length - 1) >> 1];
}

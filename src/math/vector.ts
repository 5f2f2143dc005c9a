// Vectors of float32, reduced through the kernel. Sums, norms and dot products accumulate in float64.

import type { Reducer } from "./reducer.ts";

const BLOCK = 4096; // values: eight rows and their sum take 8 * 16 KiB + 32 KiB, inside a second-level cache
const BLOCK_STRIDE = 4 * BLOCK + 64; // bytes; rows a power of two apart would share one cache set
const ROUND = 16; // the kernel's step
const GROUP = 8; // rows that the kernel reads at once
const TILE = 32; // values of a row in place that are squared while those of the next ones come
const LANES = 64; // bytes of scratch for a row whose squares are added

export function padded(length: number): number {
  return Math.ceil(length / ROUND) * ROUND;
}

/** Sum of x[i] * y[i] over two vectors of one length. */
export function dot(reducer: Reducer, x: Float32Array, y: Float32Array): number {
  const [px, py] = reducer.reserve(4 * BLOCK, 4 * BLOCK) as [number, number];
  let sum = 0;
  for (let start = 0; start < x.length; start += BLOCK) {
    const length = Math.min(BLOCK, x.length - start);
    const at = place(reducer, px, x, start, length);
    sum += reducer.run.dot(at, place(reducer, py, y, start, length), padded(length));
  }
  return sum;
}

/** Sum of squares of each row. Not finite exactly where a value is not: no float32 is large enough to overflow it. */
export function squaredNorms(reducer: Reducer, rows: readonly Float32Array[]): Float64Array {
  const out = new Float64Array(rows.length);
  if (rows.length === 0) return out;
  const group = openGroup(reducer, rows);
  for (let r = 0; r < rows.length; r += GROUP) {
    const count = Math.min(GROUP, rows.length - r);
    for (let start = 0; start < rows[0].length; start += BLOCK) {
      const width = Math.min(BLOCK, rows[0].length - start);
      group.place(r, start, width);
      reducer.run.squares(group.lanes, group.table, count + (count % 2), padded(width), group.tile);
      group.addSquares(out, r, count);
    }
  }
  return out;
}

/** Euclidean norm. NaN or Infinity where a value is not finite. */
export function norm(reducer: Reducer, x: Float32Array): number {
  return Math.sqrt(squaredNorms(reducer, [x])[0]);
}

export function allFinite(reducer: Reducer, x: Float32Array): boolean {
  return Number.isFinite(squaredNorms(reducer, [x])[0]);
}

/** Cosine of the angle between two vectors of these norms; 0 where one of them is the zero vector. */
export function cosine(product: number, normX: number, normY: number): number {
  if (normX === 0 || normY === 0) return 0;
  return Math.max(-1, Math.min(1, product / normX / normY));
}

/**
 * Sum of weights[r] * rows[r], a new vector of length values. Weights are rounded to float32. Where squares is given,
 * the sum of squares of each row is added to its place: what squaredNorms gives, without reading the rows again.
 */
export function weightedSum(
  reducer: Reducer,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  length: number,
  squares?: Float64Array,
): Float32Array<ArrayBuffer> {
  const weightsBytes = 4 * GROUP * Math.ceil(rows.length / GROUP);
  const group = openGroup(reducer, rows, [weightsBytes, 8 * BLOCK]);
  const [pw, sum] = group.areas;
  reducer.f32.fill(0, pw / 4, (pw + weightsBytes) / 4);
  reducer.f32.set(weights, pw / 4);
  const out = new Float32Array(length);
  for (let start = 0; start < length; start += BLOCK) {
    const width = Math.min(BLOCK, length - start);
    reducer.f64.fill(0, sum / 8, sum / 8 + padded(width));
    for (let r = 0; r < rows.length; r += GROUP) {
      group.place(r, start, width);
      if (squares === undefined) {
        reducer.run.weightedSum(sum, group.table, pw + 4 * r, 1, padded(width));
      } else {
        const count = Math.min(GROUP, rows.length - r);
        const even = count + (count % 2);
        reducer.run.measuredSum(sum, group.table, pw + 4 * r, group.lanes, even, padded(width), group.tile);
        group.addSquares(squares, r, count);
      }
    }
    unload(reducer, sum, group.scratch, out, start, width);
  }
  return out;
}

/** A block of columns of eight rows at a time. */
interface Group {
  /** Offset of the pointers of the rows that were placed last. */
  readonly table: number;
  /** Offset of what the kernel needs to add squares. */
  readonly lanes: number;
  /** Columns to square before the next row has its turn. */
  readonly tile: number;
  /** Offset of a block that the next row to be copied overwrites. */
  readonly scratch: number;
  /** Offsets of the areas that were asked for. */
  readonly areas: readonly number[];
  /** The rows from first on; zeros where there are fewer than eight. */
  place(first: number, start: number, width: number): void;
  /** Adds what the kernel left in the lanes to the sums of count rows from first on. */
  addSquares(sums: Float64Array, first: number, count: number): void;
}

/** areas: byte lengths of scratch beside the rows. Lays out the reducer's memory anew: one group at a time. */
function openGroup(reducer: Reducer, rows: readonly Float32Array[], areas: readonly number[] = []): Group {
  const blocksBytes = GROUP * BLOCK_STRIDE;
  const [blocks, zeros, table, lanes, ...rest] = reducer.reserve(
    blocksBytes,
    4 * BLOCK,
    4 * GROUP,
    LANES * GROUP,
    ...areas,
  ) as [number, number, number, number, ...number[]];
  reducer.f32.fill(0, zeros / 4, zeros / 4 + BLOCK);
  return {
    ...{ table, lanes, scratch: blocks, areas: rest },
    tile: rows.every((row) => reducer.holds(row)) ? TILE : BLOCK,
    place: (first, start, width) => {
      for (let k = 0; k < GROUP; k++) {
        const row = rows[first + k];
        const block = blocks + k * BLOCK_STRIDE;
        reducer.u32[table / 4 + k] = row === undefined ? zeros : place(reducer, block, row, start, width);
      }
    },
    addSquares: (sums, first, count) => {
      for (let k = 0; k < count; k++) sums[first + k] += reducer.f64[(lanes + k * LANES) / 8];
    },
  };
}

/**
 * Where the kernel finds length values of x from start: in place where x lies in its memory, else copied to pointer. A
 * last stretch that is no whole number of the kernel's steps is copied all the same, so that zeros follow it.
 */
export function place(reducer: Reducer, pointer: number, x: Float32Array, start: number, length: number): number {
  if (length % ROUND === 0 && reducer.holds(x)) return x.byteOffset + 4 * start;
  load(reducer, pointer, x, start, length);
  return pointer;
}

/** Copies length values of x from start to the kernel, padded with zeros to its step. */
export function load(reducer: Reducer, pointer: number, x: Float32Array, start: number, length: number): void {
  const at = pointer / 4;
  reducer.f32.set(length === x.length ? x : x.subarray(start, start + length), at);
  if (length % ROUND !== 0) reducer.f32.fill(0, at + length, at + padded(length));
}

/** Rounds the float64 sum to float32, by way of scratch, into out from start. */
export function unload(
  reducer: Reducer,
  sum: number,
  scratch: number,
  out: Float32Array,
  start: number,
  width: number,
): void {
  reducer.run.narrow(scratch, sum, padded(width));
  out.set(reducer.f32.subarray(scratch / 4, scratch / 4 + width), start);
}

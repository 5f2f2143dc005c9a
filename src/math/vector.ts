// Vectors of float32, reduced through the kernel. Sums, norms and dot products accumulate in float64.

import type { Reducer } from "./reducer.ts";

const BLOCK = 4096; // values: eight rows and their sum take 8 * 16 KiB + 32 KiB, inside a second-level cache
const ROUND = 16; // the kernel's step

export function padded(length: number): number {
  return Math.ceil(length / ROUND) * ROUND;
}

/** Sum of x[i] * y[i] over two vectors of one length. */
export function dot(reducer: Reducer, x: Float32Array, y: Float32Array): number {
  const [px, py] = reducer.reserve(4 * BLOCK, 4 * BLOCK) as [number, number];
  let sum = 0;
  for (let start = 0; start < x.length; start += BLOCK) {
    const length = Math.min(BLOCK, x.length - start);
    load(reducer, px, x, start, length);
    load(reducer, py, y, start, length);
    sum += reducer.run.dot(px, py, padded(length));
  }
  return sum;
}

/** Sum of squares. Not finite exactly where a value is not finite: no float32 is large enough to overflow it. */
export function squaredNorm(reducer: Reducer, x: Float32Array): number {
  const [px] = reducer.reserve(4 * BLOCK) as [number];
  let sum = 0;
  for (let start = 0; start < x.length; start += BLOCK) {
    const length = Math.min(BLOCK, x.length - start);
    load(reducer, px, x, start, length);
    sum += reducer.run.squares(px, padded(length));
  }
  return sum;
}

/** Euclidean norm. NaN or Infinity where a value is not finite. */
export function norm(reducer: Reducer, x: Float32Array): number {
  return Math.sqrt(squaredNorm(reducer, x));
}

export function allFinite(reducer: Reducer, x: Float32Array): boolean {
  return Number.isFinite(squaredNorm(reducer, x));
}

/** Cosine of the angle between two vectors of these norms; 0 where one of them is the zero vector. */
export function cosine(product: number, normX: number, normY: number): number {
  if (normX === 0 || normY === 0) return 0;
  return Math.max(-1, Math.min(1, product / normX / normY));
}

/**
 * Sum of weights[r] * rows[r], a new vector of length values. Weights are rounded to float32. Where squares is given,
 * the sum of squares of each row is added to its place: what squaredNorm gives, without reading the rows again.
 */
export function weightedSum(
  reducer: Reducer,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  length: number,
  squares?: Float64Array,
): Float32Array<ArrayBuffer> {
  const groups = Math.ceil(rows.length / 8);
  const stride = 4 * BLOCK + 64; // rows a power of two apart would share one cache set
  const [pw, sum, block] = reducer.reserve(32 * groups, 8 * BLOCK, 8 * stride) as [number, number, number];
  reducer.f32.fill(0, pw / 4, pw / 4 + 8 * groups);
  reducer.f32.set(weights, pw / 4);
  const out = new Float32Array(length);
  for (let start = 0; start < length; start += BLOCK) {
    const width = Math.min(BLOCK, length - start);
    reducer.f64.fill(0, sum / 8, sum / 8 + padded(width));
    for (let r = 0; r < rows.length; r += 8) {
      for (let k = 0; k < 8; k++) loadOrClear(reducer, block + k * stride, rows[r + k], start, width);
      reducer.run.weightedSum(sum, block, stride, pw + 4 * r, 1, padded(width));
      const measured = squares === undefined ? 0 : Math.min(8, rows.length - r);
      for (let k = 0; k < measured; k++) squares![r + k] += reducer.run.squares(block + k * stride, padded(width));
    }
    unload(reducer, sum, block, out, start, width);
  }
  return out;
}

/** Copies length values of x from start to the kernel, padded with zeros to its step. */
export function load(reducer: Reducer, pointer: number, x: Float32Array, start: number, length: number): void {
  const at = pointer / 4;
  reducer.f32.set(length === x.length ? x : x.subarray(start, start + length), at);
  if (length % ROUND !== 0) reducer.f32.fill(0, at + length, at + padded(length));
}

function loadOrClear(
  reducer: Reducer,
  pointer: number,
  x: Float32Array | undefined,
  start: number,
  length: number,
): void {
  if (x === undefined) reducer.f32.fill(0, pointer / 4, pointer / 4 + padded(length));
  else load(reducer, pointer, x, start, length);
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

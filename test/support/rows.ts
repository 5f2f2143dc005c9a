// Rows of numbers from a seed, and comparison of vectors.

import assert from "node:assert/strict";

/** mulberry32: 32 bits of state, good enough to make test data. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function gaussian(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

export function gaussianRows(seed: number, count: number, length: number): Float32Array<ArrayBuffer>[] {
  const next = uniform(seed);
  return Array.from({ length: count }, () => Float32Array.from({ length }, () => gaussian(next)));
}

/** |got - expected| <= tolerance * (1 + max |expected|) for every value. */
export function assertClose(got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(got.length, expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  for (let i = 0; i < got.length; i++) {
    const difference = Math.abs(got[i] - expected[i]);
    assert.ok(difference <= tolerance * (1 + largest), `value ${i}: got ${got[i]}, expected ${expected[i]}`);
  }
}

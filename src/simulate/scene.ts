// What an attacker sees before it answers: everything. It knows the honest updates of the round, how many it has of
// its own, and the rule; a defence that holds against this holds against less.

import type { PseudoRandom } from "../math/random.ts";

export interface Scene {
  /** Deltas of the honest devices of this round, at least one. */
  readonly honest: readonly Float32Array[];
  /** What the liars' own training gave, one each. */
  readonly own: readonly Float32Array[];
  /** Delta of the last published model; undefined in the first round. */
  readonly previous: Float32Array | undefined;
  readonly random: PseudoRandom;
  /** The defence of the run: the delta of honest and these updates together, undefined where it refuses. */
  aggregate(lies: readonly Float32Array[]): Float32Array | undefined;
}

/** Mean of the honest updates and, for each coordinate, their standard deviation (n - 1), in float64. */
export function statistics(honest: readonly Float32Array[]): { mean: Float64Array; deviation: Float64Array } {
  const length = honest[0].length;
  const mean = new Float64Array(length);
  const deviation = new Float64Array(length);
  for (const delta of honest) for (let i = 0; i < length; i++) mean[i] += delta[i] / honest.length;
  if (honest.length === 1) return { mean, deviation };
  for (const delta of honest) for (let i = 0; i < length; i++) deviation[i] += (delta[i] - mean[i]) ** 2;
  for (let i = 0; i < length; i++) deviation[i] = Math.sqrt(deviation[i] / (honest.length - 1));
  return { mean, deviation };
}

export function squaredDistance(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] - y[i]) ** 2;
  return sum;
}

export function innerProduct(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

/** base + factor * direction */
export function along(base: Float64Array, factor: number, direction: ArrayLike<number>): Float32Array<ArrayBuffer> {
  return Float32Array.from(base, (value, i) => value + factor * direction[i]);
}

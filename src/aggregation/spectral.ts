// The direction in which weighted rows differ most, from their distances alone: n^2 a step, not n D.

import type { Distances } from "../math/pairs.ts";
import { PseudoRandom } from "../math/random.ts";
import { shares } from "./affine.ts";

const STEPS_MAX = 1000;
const SETTLED = 1e-13;

export interface MainDirection {
  /** Largest eigenvalue of the weighted covariance: the variance along the direction. */
  readonly variance: number;
  /** Of each row less the weighted mean: the square of its part along the direction. */
  readonly squaredParts: Float64Array;
}

/**
 * Power iteration on K_ij = sqrt(p_i p_j) <x_i - m, x_j - m> with p the shares of the weights, which has the
 * eigenvalues of the covariance. Starts from a fixed pseudo-random vector: the same rows give the same bits.
 */
export function mainDirection(distances: Distances, weights: readonly number[]): MainDirection {
  const { count } = distances;
  const p = shares(weights);
  const inner = centred(distances, p);
  const random = new PseudoRandom(1, "main direction");
  let u = unit(Float64Array.from({ length: count }, () => random.gaussian()));
  let variance = 0;
  for (let step = 0; step < STEPS_MAX; step++) {
    const next = times(inner, p, u);
    const size = Math.sqrt(next.reduce((sum, value) => sum + value * value, 0));
    if (size === 0) return { variance: 0, squaredParts: new Float64Array(count) };
    const moved = Math.abs(size - variance);
    variance = size;
    u = next.map((value) => value / size);
    if (moved <= SETTLED * size) break;
  }
  return { variance, squaredParts: parts(inner, p, u, variance) };
}

/** <x_i - m, x_j - m> = (r_i + r_j - s - D_ij) / 2 with r_i = sum_k p_k D_ik and s = sum_k p_k r_k. */
function centred({ count, squared }: Distances, p: Float64Array): Float64Array {
  const r = Float64Array.from({ length: count }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < count; k++) sum += p[k] * squared[i * count + k];
    return sum;
  });
  const s = r.reduce((sum, value, k) => sum + p[k] * value, 0);
  return squared.map((value, at) => (r[Math.floor(at / count)] + r[at % count] - s - value) / 2);
}

function times(inner: Float64Array, p: Float64Array, u: Float64Array): Float64Array {
  const count = p.length;
  const scaled = u.map((value, j) => value * Math.sqrt(p[j]));
  return Float64Array.from(p, (share, i) => {
    let sum = 0;
    for (let j = 0; j < count; j++) sum += inner[i * count + j] * scaled[j];
    return sum * Math.sqrt(share);
  });
}

/** <x_i - m, v> for v = sum_j sqrt(p_j) u_j (x_j - m) / sqrt(variance), squared. */
function parts(inner: Float64Array, p: Float64Array, u: Float64Array, variance: number): Float64Array {
  const count = p.length;
  return Float64Array.from(p, (_, i) => {
    let sum = 0;
    for (let j = 0; j < count; j++) sum += Math.sqrt(p[j]) * u[j] * inner[i * count + j];
    return sum ** 2 / variance;
  });
}

function unit(x: Float64Array): Float64Array {
  const size = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return x.map((value) => value / size);
}

// Points that are weighted sums of the rows, handled by their coefficients: distances from such a point to every row
// follow from the distances between rows, so that iterations cost n^2 and not n D.

import type { Distances } from "../math/pairs.ts";

/**
 * Distances from the point sum a[j] * rows[j] to every row; the coefficients a sum to 1.
 * |z - x_i|^2 = sum_j a_j D_ij - 1/2 sum_jk a_j a_k D_jk.
 */
export function distancesFrom({ count, squared }: Distances, a: ArrayLike<number>): Float64Array {
  const out = new Float64Array(count);
  let spread = 0;
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let j = 0; j < count; j++) sum += a[j] * squared[i * count + j];
    out[i] = sum;
    spread += a[i] * sum;
  }
  return out.map((sum) => Math.sqrt(Math.max(0, sum - spread / 2)));
}

/** Values divided by their sum. */
export function shares(values: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(values);
  const sum = out.reduce((a, b) => a + b, 0);
  return out.map((value) => value / sum);
}

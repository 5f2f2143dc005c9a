// Cosines between all pairs of updates, from their norms and distances.

import type { Distances } from "../math/pairs.ts";
import { cosine } from "../math/vector.ts";

/** A symmetric matrix of n * n values, row by row; 0 for the zero vector. */
export function cosines({ count, squared }: Distances, norms: readonly number[]): Float64Array {
  return squared.map((value, at) => {
    const x = norms[Math.floor(at / count)];
    const y = norms[at % count];
    return cosine((x * x + y * y - value) / 2, x, y);
  });
}

// The rows that a reduction goes over: given vectors, or blends of them that are never written out as a whole. n blends
// of n updates would take as much memory as the updates again.

export type Vector = Float32Array<ArrayBuffer>;

/** A weighted sum of given rows: weights[k] * given[of[k]], added up. */
export interface Blend {
  readonly of: readonly number[];
  readonly weights: readonly number[];
}

export interface Rows {
  readonly given: readonly Float32Array[];
  /** Values of each row. */
  readonly length: number;
  /** Where there are any, these are the rows. */
  readonly blends?: readonly Blend[] | undefined;
}

export function rowCount({ given, blends }: Rows): number {
  return (blends ?? given).length;
}

export function plainRows(given: readonly Float32Array[], length: number): Rows {
  return { given, length };
}

/** The rows of these numbers, in this order. */
export function pickRows(rows: Rows, picked: readonly number[]): Rows {
  const { given, length, blends } = rows;
  if (blends !== undefined) return { given, length, blends: picked.map((row) => blends[row]) };
  return { given: picked.map((row) => given[row]), length };
}

/** The columns from start to end - 1. */
export function cutRows({ given, length, blends }: Rows, start: number, end: number): Rows {
  if (start === 0 && end === length) return { given, length, blends };
  return { given: given.map((row) => row.subarray(start, end)), length: end - start, blends };
}

/** The rows with one more behind them. */
export function withRow({ given, length, blends }: Rows, last: Float32Array): Rows {
  const more = blends === undefined ? undefined : [...blends, { of: [given.length], weights: [1] }];
  return { given: [...given, last], length, blends: more };
}

/** Blends of rows that may be blends themselves. */
export function blendRows(rows: Rows, blends: readonly Blend[]): Rows {
  if (rows.blends === undefined) return { ...rows, blends };
  const inner = rows.blends;
  return { ...rows, blends: blends.map((blend) => composed(blend, inner)) };
}

/** Each row times its factor. */
export function scaleRows(rows: Rows, factors: readonly number[]): Rows {
  if (factors.every((factor) => factor === 1)) return rows;
  return blendRows(
    rows,
    factors.map((factor, row) => ({ of: [row], weights: [factor] })),
  );
}

/** weights of the rows as weights of the given ones. */
export function weightsOfGiven({ given, blends }: Rows, weights: ArrayLike<number>): Float64Array {
  if (blends === undefined) return Float64Array.from(weights);
  const out = new Float64Array(given.length);
  for (const [row, blend] of blends.entries()) {
    for (const [k, index] of blend.of.entries()) out[index] += weights[row] * blend.weights[k];
  }
  return out;
}

function composed(outer: Blend, inner: readonly Blend[]): Blend {
  const sums = new Map<number, number>();
  for (const [k, row] of outer.of.entries()) {
    for (const [j, index] of inner[row].of.entries()) {
      sums.set(index, (sums.get(index) ?? 0) + outer.weights[k] * inner[row].weights[j]);
    }
  }
  return { of: [...sums.keys()], weights: [...sums.values()] };
}

// Slow plain twins of the kernels in float64, one line of mathematics each. Tests compare against them; nothing else
// uses them.

export function referenceDot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

export function referenceNorm(x: ArrayLike<number>): number {
  return Math.sqrt(referenceDot(x, x));
}

export function referenceWeightedSum(rows: readonly ArrayLike<number>[], weights: ArrayLike<number>): number[] {
  return columns(rows, (column) => referenceDot(column, weights));
}

export function referenceMedian(rows: readonly ArrayLike<number>[]): number[] {
  return columns(rows, (column) => {
    const sorted = column.toSorted((a, b) => a - b);
    const half = sorted.length / 2;
    return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
  });
}

export function referenceTrimmedMean(rows: readonly ArrayLike<number>[], f: number): number[] {
  return columns(rows, (column) => {
    const kept = column.toSorted((a, b) => a - b).slice(f, column.length - f);
    return kept.reduce((a, b) => a + b, 0) / kept.length;
  });
}

/** The median of all rows but this one. */
export function referenceOthersMedian(rows: readonly ArrayLike<number>[], row: number): number[] {
  return referenceMedian(rows.filter((_, other) => other !== row));
}

/** Mean of the kept values nearest to the median of each coordinate; the lower one of two as far. */
export function referenceMeanAroundMedian(rows: readonly ArrayLike<number>[], kept: number): number[] {
  const middle = referenceMedian(rows);
  return columns(rows, (column, i) => {
    const nearest = column.toSorted((a, b) => Math.abs(a - middle[i]) - Math.abs(b - middle[i])); // stable
    return nearest.slice(0, kept).reduce((a, b) => a + b, 0) / kept;
  });
}

export function referenceSquaredDistance(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] - y[i]) ** 2;
  return sum;
}

function columns(rows: readonly ArrayLike<number>[], reduce: (column: number[], index: number) => number): number[] {
  return Array.from({ length: rows[0].length }, (_, i) =>
    reduce(
      rows.map((row) => row[i]),
      i,
    ),
  );
}

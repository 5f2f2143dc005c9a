// Slow plain twins of the rules in float64, close to the words of their papers. Tests compare against them; nothing
// else uses them.

import { referenceDot, referenceNorm, referenceSquaredDistance, referenceWeightedSum } from "../math/reference.ts";

type Row = ArrayLike<number>;

const equal = (count: number): number[] => new Array<number>(count).fill(1 / count);

export function referenceMean(rows: readonly Row[]): number[] {
  return referenceWeightedSum(rows, equal(rows.length));
}

/** Sum of squared distances to the n - f - 2 nearest others. */
export function referenceKrumScores(rows: readonly Row[], f: number): number[] {
  return rows.map((row) => {
    const distances = rows.filter((other) => other !== row).map((other) => referenceSquaredDistance(row, other));
    const nearest = distances.sort((a, b) => a - b).slice(0, rows.length - f - 2);
    return nearest.reduce((a, b) => a + b, 0);
  });
}

/** Each row as the mean of the n - f rows nearest to it, itself included. */
export function referenceNnm(rows: readonly Row[], f: number): number[][] {
  return rows.map((row) => {
    const sorted = rows.toSorted((a, b) => referenceSquaredDistance(row, a) - referenceSquaredDistance(row, b));
    return referenceMean(sorted.slice(0, rows.length - f));
  });
}

export function referenceCenteredClipping(rows: readonly Row[], tau: number, iterations: number): number[] {
  let v = Array.from(rows[0], () => 0);
  for (let i = 0; i < iterations; i++) {
    const steps = rows.map((row) => {
      const step = v.map((value, k) => row[k] - value);
      const factor = Math.min(1, tau / referenceNorm(step));
      return step.map((value) => (factor < 1 ? value * factor : value));
    });
    const mean = referenceMean(steps);
    v = v.map((value, k) => value + mean[k]);
  }
  return v;
}

/** Smoothed Weiszfeld steps from a start; 0 smoothing and many steps: the geometric median, unless a row is. */
export function referenceWeiszfeld(
  rows: readonly Row[],
  start: Row,
  { smoothing, iterations }: { readonly smoothing: number; readonly iterations: number },
): number[] {
  let z = [...(start as number[])];
  for (let i = 0; i < iterations; i++) {
    const weights = rows.map((row) => 1 / Math.max(smoothing, Math.sqrt(referenceSquaredDistance(row, z))));
    const sum = weights.reduce((a, b) => a + b, 0);
    z = referenceWeightedSum(
      rows,
      weights.map((weight) => weight / sum),
    );
  }
  return z;
}

/** Weights of the covariance filter, by power iteration on the D x D covariance itself. */
export function referenceCafWeights(rows: readonly Row[], f: number): number[] {
  let weights = rows.map(() => 1);
  let best = weights;
  let least = Number.POSITIVE_INFINITY;
  do {
    const sum = weights.reduce((a, b) => a + b, 0);
    const mean = referenceWeightedSum(
      rows,
      weights.map((weight) => weight / sum),
    );
    const centred = rows.map((row) => mean.map((value, k) => row[k] - value));
    const { variance, direction } = mainAxis(centred, weights, sum);
    if (variance < least) {
      least = variance;
      best = weights;
    }
    const parts = centred.map((row) => referenceDot(row, direction) ** 2);
    const largest = Math.max(...parts.filter((_, i) => weights[i] > 0));
    if (largest === 0) break;
    weights = weights.map((weight, i) => weight * Math.max(0, 1 - parts[i] / largest));
  } while (weights.reduce((a, b) => a + b, 0) > rows.length - 2 * f);
  return best;
}

function mainAxis(
  centred: readonly number[][],
  weights: readonly number[],
  sum: number,
): { variance: number; direction: number[] } {
  let direction = centred[0].map((_, k) => 1 / (k + 1));
  let variance = 0;
  for (let step = 0; step < 5000; step++) {
    const pulls = centred.map((row, i) => (weights[i] * referenceDot(row, direction)) / sum);
    const next = referenceWeightedSum(centred, pulls);
    variance = referenceNorm(next);
    if (variance === 0) break;
    const before = direction;
    direction = next.map((value) => value / variance);
    if (direction.every((value, k) => value === before[k])) break;
  }
  return { variance, direction };
}

/** The rows that hang together at the largest cosine at which more than half of them do. */
export function referenceMajority(rows: readonly Row[]): number[] {
  const cosine = (x: Row, y: Row): number => referenceDot(x, y) / referenceNorm(x) / referenceNorm(y);
  const levels = rows.flatMap((x) => rows.filter((y) => y !== x).map((y) => cosine(x, y))).sort((a, b) => b - a);
  for (const level of levels) {
    for (const start of rows.keys()) {
      const found = new Set([start]);
      for (const row of found) {
        for (const other of rows.keys()) if (cosine(rows[row], rows[other]) >= level - 1e-12) found.add(other);
      }
      if (2 * found.size > rows.length) return [...found].sort((a, b) => a - b);
    }
  }
  return [...rows.keys()];
}

// Geometric median: the point with the least weighted sum of distances to all updates. Exact, or by smoothed Weiszfeld
// steps (RFA), a fixed number of them or until they rest.

import { float, oneOf, uint } from "../../core/shape.ts";
import { Frame, shares } from "../affine.ts";
import { everyRow } from "../batch.ts";
import { atLeastPaired } from "../parameter.ts";
import type { Rule } from "../rule.ts";
import { optional } from "../rule.ts";

export interface GeometricMedianParameters {
  readonly smoothing?: number;
  readonly iterations?: number;
  readonly start?: "zero" | "mean";
}

const STEPS_MAX = 10_000;
const ROUNDING = 1 + 1e-9; // of pulls and weights that are equal

export const geometricMedian: Rule<GeometricMedianParameters> = {
  name: "geometric-median",
  summary: "Point with the least weighted sum of distances to the updates; exact without smoothing and iterations.",
  source: "Pillutla et al., Robust Aggregation for Federated Learning, 2019; Vardi and Zhang, PNAS 2000",
  parameters: {
    smoothing: optional(float(0, 1e9), "nu: distances count as at least this; 0 where absent"),
    iterations: optional(uint(1, STEPS_MAX), "number of Weiszfeld steps; until nothing moves where absent"),
    start: optional(oneOf("zero", "mean"), "where to start; the weighted mean where absent"),
  },
  weights: "used",
  layerwise: true,
  complexity: "n^2 D",
  limits: "Sign flips of ordinary length and IPM where the devices' data differ; backdoors.",
  requirement: () => atLeastPaired(1, "n >= 1; robust against f < n / 2"),
  combine: (engine, batch, { smoothing = 0, iterations, start = "mean" }) => {
    const frame = new Frame(engine, batch.rows, batch.norms);
    const weiszfeld = { frame, weights: batch.weights, smoothing };
    const first = start === "zero" ? Float64Array.from(batch.norms) : frame.distancesFrom(shares(batch.weights));
    const a = coefficients(weiszfeld, first, iterations);
    return { delta: engine.map("rowsSum", batch.rows, { weights: a }), selected: everyRow(batch) };
  },
};

interface Weiszfeld {
  readonly frame: Frame;
  readonly weights: readonly number[];
  readonly smoothing: number;
}

/** first: distances of the start. */
function coefficients(weiszfeld: Weiszfeld, first: Float64Array, iterations: number | undefined): Float64Array {
  if (iterations !== undefined) return steps(weiszfeld, first, iterations);
  const corner = weiszfeld.smoothing === 0 ? onlyCorner(weiszfeld) : undefined;
  if (corner === undefined) return settled(weiszfeld, first);
  return shares(weiszfeld.weights.map((_, row) => (row === corner ? 1 : 0)));
}

/** Weiszfeld's coefficients for a point at these distances. */
function step({ weights, smoothing }: Weiszfeld, from: Float64Array): Float64Array {
  return shares(weights.map((weight, i) => weight / Math.max(smoothing, from[i], Number.MIN_VALUE * 2 ** 60)));
}

function steps(weiszfeld: Weiszfeld, first: Float64Array, iterations: number): Float64Array {
  let a = step(weiszfeld, first);
  for (let i = 1; i < iterations; i++) a = step(weiszfeld, weiszfeld.frame.distancesFrom(a));
  return a;
}

/** Steps until nothing moves. A point that lies on a row, which is no median here, leaves it: the others' pull wins. */
function settled(weiszfeld: Weiszfeld, first: Float64Array): Float64Array {
  const leaving = (from: Float64Array): Float64Array =>
    weiszfeld.smoothing === 0 ? from.map((size) => (size === 0 ? Number.POSITIVE_INFINITY : size)) : from;
  let a = step(weiszfeld, leaving(first));
  for (let i = 1; i < STEPS_MAX; i++) {
    const next = step(weiszfeld, leaving(weiszfeld.frame.distancesFrom(a)));
    const change = weiszfeld.frame.change(a, next);
    a = next;
    if (change < 1e-13) break;
  }
  return a;
}

/**
 * The row that is the median itself. Where rows of several places are, so is all that lies between them: then none is
 * preferred, and the start decides, whatever the order of the rows.
 */
function onlyCorner({ frame, weights }: Weiszfeld): number | undefined {
  const corners = bestRows(frame, weights).filter((row) => isCorner(frame, weights, row));
  const [first] = corners;
  return corners.every((row) => frame.inner(first, row, row) === 0) ? first : undefined;
}

/** Those with the least weighted sum of distances: no other row can be the median, and asking each costs n^3. */
function bestRows(frame: Frame, weights: readonly number[]): number[] {
  const sums = weights.map((_, k) => weights.reduce((sum, weight, row) => sum + weight * distance(frame, k, row), 0));
  const least = Math.min(...sums) * (1 + 2 ** -16); // distances from products in float32 are as good as that
  return [...sums.keys()].filter((row) => sums[row] <= least);
}

function distance(frame: Frame, k: number, row: number): number {
  return Math.sqrt(Math.max(0, frame.inner(k, row, row)));
}

/**
 * Vardi and Zhang: row k is a median if the pulls of all rows that lie elsewhere are no stronger together than the
 * weight of those that lie on it. Pull of j: w_j (x_j - x_k) / d_jk.
 */
function isCorner(frame: Frame, weights: readonly number[], k: number): boolean {
  const sizes = weights.map((_, row) => distance(frame, k, row));
  let held = 0;
  let pull = 0;
  for (const [i, weight] of weights.entries()) {
    if (sizes[i] === 0) held += weight;
    else pull += weight ** 2;
    for (let j = 0; j < i; j++) {
      const size = sizes[i] * sizes[j];
      if (size !== 0) pull += ((2 * weight * weights[j]) / size) * frame.inner(k, i, j);
    }
  }
  return Math.sqrt(Math.max(0, pull)) <= held * ROUNDING;
}

// Geometric median: the point with the least weighted sum of distances to all updates. Exact, or by a fixed number of
// smoothed Weiszfeld steps (RFA).

import { float, oneOf, uint } from "../../core/shape.ts";
import type { Distances } from "../../math/pairs.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { distancesFrom, shares } from "../affine.ts";
import { everyRow } from "../batch.ts";
import { atLeastPaired } from "../parameter.ts";
import type { Rule, Weighted } from "../rule.ts";
import { optional } from "../rule.ts";

export interface GeometricMedianParameters {
  readonly smoothing?: number;
  readonly iterations?: number;
  readonly start?: "zero" | "mean";
}

const STEPS_MAX = 10_000;

export const geometricMedian: Rule<GeometricMedianParameters> = {
  name: "geometric-median",
  summary: "Point with the least weighted sum of distances to the updates; exact where no iterations are given.",
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
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const first = start === "zero" ? Float64Array.from(batch.norms) : meanDistances(distances, batch);
    const a =
      iterations === undefined
        ? settled(distances, batch.weights)
        : steps(distances, batch, first, smoothing, iterations);
    return { delta: engine.map("rowsSum", batch.rows, { weights: a }), selected: everyRow(batch) };
  },
};

function meanDistances(distances: Distances, batch: Weighted): Float64Array {
  return distancesFrom(distances, shares(batch.weights));
}

/** Weiszfeld's coefficients for a point at these distances. */
function step(weights: readonly number[], from: Float64Array, smoothing: number): Float64Array {
  return shares(weights.map((weight, i) => weight / Math.max(smoothing, from[i], Number.MIN_VALUE * 2 ** 60)));
}

function steps(
  distances: Distances,
  { weights }: Weighted,
  first: Float64Array,
  smoothing: number,
  iterations: number,
): Float64Array {
  let a = step(weights, first, smoothing);
  for (let i = 1; i < iterations; i++) a = step(weights, distancesFrom(distances, a), smoothing);
  return a;
}

/** Steps until no coefficient moves, unless the median is one of the updates itself. */
function settled(distances: Distances, weights: readonly number[]): Float64Array {
  const corner = optimalRow(distances, weights);
  if (corner !== undefined) return shares(weights.map((_, i) => (i === corner ? 1 : 0)));
  let a = shares(weights);
  for (let i = 0; i < STEPS_MAX; i++) {
    const next = step(weights, distancesFrom(distances, a), 0);
    const moved = next.reduce((most, value, j) => Math.max(most, Math.abs(value - a[j])), 0);
    a = next;
    if (moved < 1e-13) break;
  }
  return a;
}

/**
 * Vardi and Zhang: row k is the median if the pulls of all rows that lie elsewhere are no stronger together than the
 * weight of those that lie on it. Pull of j: w_j (x_j - x_k) / d_jk; inner products follow from the distances.
 */
function optimalRow({ count, squared }: Distances, weights: readonly number[]): number | undefined {
  for (let k = 0; k < count; k++) {
    const to = (j: number): number => squared[k * count + j];
    let held = 0;
    let pull = 0;
    for (let i = 0; i < count; i++) {
      if (to(i) === 0) held += weights[i];
      for (let j = 0; j < count; j++) {
        const size = Math.sqrt(to(i)) * Math.sqrt(to(j));
        if (size === 0) continue;
        pull += ((weights[i] * weights[j]) / size) * ((to(i) + to(j) - squared[i * count + j]) / 2);
      }
    }
    if (Math.sqrt(Math.max(0, pull)) <= held) return k;
  }
  return undefined;
}

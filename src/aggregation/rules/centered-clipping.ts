// Centered clipping. Moves a reference point by the mean of the differences to the updates, each shortened to tau.

import { QflareError } from "../../core/error.ts";
import { float, uint } from "../../core/shape.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { weightedSum } from "../../math/vector.ts";
import { distancesFrom } from "../affine.ts";
import { clipFactors, everyRow } from "../batch.ts";
import { atLeastPaired, orNamed, vector } from "../parameter.ts";
import type { Batch, Rule } from "../rule.ts";
import { required } from "../rule.ts";

export interface CenteredClippingParameters {
  readonly tau: number;
  readonly iterations: number;
  readonly start: "zero" | Float32Array;
}

export const centeredClipping: Rule<CenteredClippingParameters> = {
  name: "centered-clipping",
  summary: "v + mean of (x - v) min(1, tau / |x - v|), repeated; the delta is the last v.",
  source: "Karimireddy et al., Learning from History for Byzantine Robust Optimization, ICML 2021",
  parameters: {
    tau: required(float(0, 1e18), "largest difference that counts in full, about the honest spread"),
    iterations: required(uint(1, 1000), "number of steps"),
    start: required(orNamed(vector(), "zero"), "first v: zero, or the delta of the last round"),
  },
  weights: "ignored",
  complexity: "n^2 D",
  limits: "f > 0.15 n. Alone, without momentum on the devices: attacks that repeat over rounds.",
  requirement: () => atLeastPaired(1, "n >= 1; proved for f <= n / 10"),
  combine: (reducer, batch, { tau, iterations, start }) => {
    const rows = [...batch.rows, startVector(batch, start)];
    const distances = squaredDistances(reducer, rows, batch.length);
    const n = batch.rows.length;
    let v = new Float64Array(n + 1).fill(1, n);
    for (let i = 0; i < iterations; i++) {
      const factors = clipFactors([...distancesFrom(distances, v).subarray(0, n)], tau);
      v = moved(v, factors);
    }
    return { delta: weightedSum(reducer, rows, v, batch.length), selected: everyRow(batch) };
  },
};

/** Coefficients of v + sum factors[i] * (x_i - v) / n. */
function moved(v: Float64Array, factors: readonly number[]): Float64Array<ArrayBuffer> {
  const n = factors.length;
  const kept = 1 - factors.reduce((a, b) => a + b, 0) / n;
  return Float64Array.from(v, (coefficient, i) => coefficient * kept + (i < n ? factors[i] / n : 0));
}

function startVector(batch: Batch, start: "zero" | Float32Array): Float32Array {
  if (start === "zero") return new Float32Array(batch.length);
  if (start.length === batch.length) return start;
  throw new QflareError("aggregation.input", `expected a start of ${batch.length} values, got ${start.length}`);
}

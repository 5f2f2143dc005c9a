// Centered clipping. Moves a reference point by the mean of the differences to the updates, each shortened to tau.

import { QflareError } from "../../core/error.ts";
import { float, uint } from "../../core/shape.ts";
import { withRow } from "../../math/rows.ts";
import { Frame } from "../affine.ts";
import { clipFactors, everyRow, median } from "../batch.ts";
import { atLeastPaired, orNamed, vector } from "../parameter.ts";
import type { Batch, Rule } from "../rule.ts";
import { required } from "../rule.ts";

export interface CenteredClippingParameters {
  readonly tau: number | "median";
  readonly iterations: number;
  readonly start: "zero" | Float32Array;
}

export const centeredClipping: Rule<CenteredClippingParameters> = {
  name: "centered-clipping",
  summary: "v + mean of (x - v) min(1, tau / |x - v|), repeated; the delta is the last v.",
  source: "Karimireddy et al., Learning from History for Byzantine Robust Optimization, ICML 2021",
  parameters: {
    tau: required(
      orNamed(float(0, 1e18), "median"),
      "largest difference that counts in full, about the honest spread; or at each step the median of the differences",
    ),
    iterations: required(uint(1, 1000), "number of steps"),
    start: required(orNamed(vector(), "zero"), "first v: zero, or the delta of the last round"),
  },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D",
  limits: "f > 0.15 n. Alone, without momentum on the devices: attacks that repeat over rounds.",
  requirement: () => atLeastPaired(1, "n >= 1; proved for f <= n / 10"),
  combine: (engine, batch, { tau, iterations, start }) => {
    const first = startVector(batch, start);
    const rows = withRow(batch.rows, first);
    const frame = new Frame(engine, rows, [...batch.norms, Math.sqrt(squares(first))]);
    const n = batch.members.length;
    let v = new Float64Array(n + 1).fill(1, n);
    for (let i = 0; i < iterations; i++) {
      const from = [...frame.distancesFrom(v).subarray(0, n)];
      v = moved(v, clipFactors(from, tau === "median" ? median(from) : tau));
    }
    return { delta: engine.map("rowsSum", rows, { weights: v }), selected: everyRow(batch) };
  },
};

/** Coefficients of v + sum factors[i] * (x_i - v) / n. */
function moved(v: Float64Array, factors: readonly number[]): Float64Array<ArrayBuffer> {
  const n = factors.length;
  const kept = 1 - factors.reduce((a, b) => a + b, 0) / n;
  return Float64Array.from(v, (coefficient, i) => coefficient * kept + (i < n ? factors[i] / n : 0));
}

function startVector(batch: Batch, start: "zero" | Float32Array): Float32Array {
  if (start === "zero") return new Float32Array(batch.rows.length);
  if (start.length === batch.rows.length) return start;
  throw new QflareError("aggregation.input", `expected a start of ${batch.rows.length} values, got ${start.length}`);
}

function squares(x: Float32Array): number {
  return x.reduce((sum, value) => sum + value * value, 0);
}

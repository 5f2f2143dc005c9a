// SignGuard. Keeps updates of an ordinary length whose shares of positive, zero and negative values lie with the
// majority: gradients that are turned or drowned in noise show in their signs.

import { QflareError } from "../../core/error.ts";
import { float } from "../../core/shape.ts";
import type { Engine } from "../../math/engine.ts";
import { ascending, clipFactors, everyRow, median } from "../batch.ts";
import type { Batch, Rule } from "../rule.ts";
import { optional } from "../rule.ts";

export interface SignguardParameters {
  readonly low?: number;
  readonly high?: number;
}

/** Shares of positive and of negative values; the share of zeros is what is left. */
type Point = readonly [positive: number, negative: number];

const STEPS_MAX = 100;
const RADIUS_MIN = 1e-3; // of shares: less is no difference between two updates

export const signguard: Rule<SignguardParameters> = {
  name: "signguard",
  summary:
    "Mean, clipped to the median norm, of updates of ordinary length in the largest mean-shift cluster of sign shares.",
  source:
    "Xu et al., Byzantine-robust Federated Learning through Collaborative Malicious Gradient Filtering, ICDCS 2022",
  parameters: {
    low: optional(float(0, 1), "least norm in median norms; 0.1 where absent"),
    high: optional(float(1, 1e6), "largest norm in median norms; 3 where absent"),
  },
  weights: "ignored",
  complexity: "n D + n^2",
  limits: "Lies that keep the signs of honest updates (ALIE, backdoors). Half the devices lying.",
  requirement: () => ({ updatesMin: 3, updatesMax: 2048, words: "n >= 3, n <= 2048; robust against f < n / 2" }),
  combine: (engine, batch, { low = 0.1, high = 3 }) => {
    const bound = median(batch.norms);
    const shares = signShares(engine, batch);
    const order = everyRow(batch).sort((a, b) => shares[a][0] - shares[b][0] || shares[a][1] - shares[b][1] || a - b);
    const cluster = largestCluster(order.map((row) => shares[row])).map((place) => order[place]);
    const selected = cluster
      .sort((a, b) => a - b)
      .filter((row) => batch.norms[row] >= low * bound && batch.norms[row] <= high * bound);
    if (selected.length === 0) {
      throw new QflareError("aggregation.precondition", "signguard: no update of the largest cluster has its length");
    }
    const factors = clipFactors(batch.norms, bound);
    const weights = everyRow(batch).map(() => 0);
    for (const row of selected) weights[row] = factors[row] / selected.length;
    return { delta: engine.map("rowsSum", batch.rows, { weights }), selected };
  },
};

function signShares(engine: Engine, { rows, members }: Batch): Point[] {
  const counts = engine.sum("signCounts", rows, {});
  return members.map((_, row) => [counts[2 * row] / rows.length, counts[2 * row + 1] / rows.length]);
}

/**
 * Mean shift with a flat kernel: every point climbs to the mean of the points in reach until it rests; points whose
 * resting places are in reach of one another are one cluster. Reach: the mean distance to half of the points. Points
 * come sorted, so that the order of the updates does not decide.
 */
function largestCluster(points: readonly Point[]): number[] {
  const reach = Math.max(RADIUS_MIN, meanReach(points));
  const modes = points.map((point) => climbed(points, point, reach));
  const clusters: { readonly mode: Point; readonly rows: number[] }[] = [];
  for (const [row, mode] of modes.entries()) {
    const near = clusters.find((cluster) => distance(cluster.mode, mode) <= reach);
    if (near === undefined) clusters.push({ mode, rows: [row] });
    else near.rows.push(row);
  }
  return clusters.reduce((best, cluster) => (cluster.rows.length > best.rows.length ? cluster : best)).rows;
}

function meanReach(points: readonly Point[]): number {
  const half = Math.floor((points.length - 1) / 2);
  const reaches = points.map((point) => {
    const distances = points.map((other) => distance(point, other));
    return distances[ascending(distances)[half]];
  });
  return reaches.reduce((a, b) => a + b, 0) / points.length;
}

function climbed(points: readonly Point[], from: Point, reach: number): Point {
  let at = from;
  for (let step = 0; step < STEPS_MAX; step++) {
    const near = points.filter((point) => distance(point, at) <= reach);
    const next: Point = [mean(near.map(([positive]) => positive)), mean(near.map(([, negative]) => negative))];
    const moved = distance(next, at);
    at = next;
    if (moved <= 1e-6 * reach) break;
  }
  return at;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Of (positive, zero, negative) shares. */
function distance([a, b]: Point, [c, d]: Point): number {
  return Math.hypot(a - c, b - d, a + b - c - d);
}

// (f, kappa)-robustness (Allouah et al., AISTATS 2023): for every subset S of n - f updates,
// |F(x) - mean_S|^2 <= kappa / |S| * sum over S of |x_i - mean_S|^2. All subsets, against the bounds of theory.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../src/aggregation/aggregate.ts";
import type { Specification, Step } from "../../src/aggregation/table.ts";
import { gaussian, uniform } from "../support/rows.ts";

const SHAPES = [
  [7, 1],
  [7, 2],
  [9, 2],
  [9, 3],
  [11, 2],
  [11, 3],
] as const;
const CASES = 24;

/** Of n and f. Mixing turns a kappa into 8 f / (n - f) * (kappa + 1). */
const trimmed = (n: number, f: number): number => ((6 * f) / (n - 2 * f)) * (1 + f / (n - 2 * f));
const middle = (n: number, f: number): number => 4 * (1 + f / (n - 2 * f)) ** 2;
const krum = (n: number, f: number): number => 6 * (1 + f / (n - 2 * f));
const mixed = (kappa: typeof krum) => (n: number, f: number) => ((8 * f) / (n - f)) * (kappa(n, f) + 1);

const nnm = (f: number): Step[] => [{ rule: "nnm", f }];
const BOUNDS: [name: string, rule: (f: number, n: number) => Specification, kappa: typeof krum][] = [
  ["trimmed-mean", (f) => ({ rule: "trimmed-mean", f }), trimmed],
  ["median", () => ({ rule: "median" }), middle],
  ["geometric-median", () => ({ rule: "geometric-median" }), middle],
  ["krum over n - f - 1 neighbours", (f, n) => ({ rule: "krum", f, neighbours: n - f - 1 }), krum],
  ["nnm and trimmed-mean", (f) => ({ rule: "trimmed-mean", f, before: nnm(f) }), mixed(trimmed)],
  ["nnm and median", (f) => ({ rule: "median", before: nnm(f) }), mixed(middle)],
];
const LOWER = (n: number, f: number): number => f / (n - 2 * f);

/** f of n rows lie, in ways that hurt: far away, side by side, just beyond the honest, or as one of them. */
function lied(next: () => number, n: number, f: number, kind: number): number[][] {
  const length = 1 + (kind % 4);
  const rows = Array.from({ length: n }, () => Array.from({ length }, () => gaussian(next)));
  const distance = [0.5, 1, 2, 4, 1e3, 1e6][Math.floor(next() * 6)];
  for (let i = 0; i < f; i++) {
    const own = rows[i];
    if (kind % 3 === 0) rows[i] = own.map(() => distance);
    else if (kind % 3 === 1) rows[i] = own.map((value) => -distance * value);
    else rows[i] = rows[n - 1].map((value) => value + 1e-3 * distance);
  }
  return rows.map((row) => row.map(Math.fround));
}

function* subsets(n: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) yield [];
  for (let i = from; size > 0 && i <= n - size; i++) {
    for (const rest of subsets(n, size - 1, i + 1)) yield [i, ...rest];
  }
}

const mean = (rows: number[][]): number[] =>
  rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
const squared = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  Array.from(x, (value, i) => (value - y[i]) ** 2).reduce((a, b) => a + b, 0);

/** The least kappa that holds for all subsets. */
function kappaOf(rows: number[][], f: number, delta: ArrayLike<number>): number {
  let kappa = 0;
  for (const subset of subsets(rows.length, rows.length - f)) {
    const chosen = subset.map((i) => rows[i]);
    const centre = mean(chosen);
    const spread = chosen.reduce((sum, row) => sum + squared(row, centre), 0) / chosen.length;
    const off = squared(delta, centre);
    if (off > 1e-9 * (1 + spread)) kappa = Math.max(kappa, off / spread); // less is rounding to float32
  }
  return kappa;
}

function worst(rule: (f: number, n: number) => Specification, n: number, f: number): number {
  const next = uniform(n * 100 + f);
  let kappa = 0;
  for (let kind = 0; kind < CASES; kind++) {
    const rows = lied(next, n, f, kind);
    const { delta } = aggregate(
      rule(f, n),
      rows.map((row) => Float32Array.from(row)),
    );
    kappa = Math.max(kappa, kappaOf(rows, f, delta));
  }
  return kappa;
}

describe("robustness over every subset", () => {
  for (const [name, rule, bound] of BOUNDS) {
    it(`holds for ${name} within the bound of theory`, () => {
      for (const [n, f] of SHAPES) {
        const kappa = worst(rule, n, f);
        assert.ok(kappa <= bound(n, f), `n = ${n}, f = ${f}: kappa ${kappa} over ${bound(n, f)}`);
        assert.ok(kappa > 0, "the cases are hard enough to move the rule");
      }
    });
  }

  it("is broken for the mean, which the same cases show", () => {
    for (const [n, f] of SHAPES) assert.ok(worst(() => ({ rule: "mean" }), n, f) > 100 * LOWER(n, f));
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { aggregate } from "../../src/aggregation/aggregate.ts";
import {
  referenceCafWeights,
  referenceCenteredClipping,
  referenceKrumScores,
  referenceMajority,
  referenceMean,
  referenceNnm,
} from "../../src/aggregation/reference.ts";
import type { Specification } from "../../src/aggregation/table.ts";
import { referenceMedian, referenceTrimmedMean } from "../../src/math/reference.ts";
import { assertClose, gaussianRows, uniform } from "../support/rows.ts";

const RUNS = { numRuns: 25 };
const N = 11;
const F = 2;

/** Rows without ties: some together, some apart, so that rules that choose have something to choose from. */
const seeds = fc.integer({ min: 1, max: 2 ** 30 });
function rowsOf(seed: number, length = 9): Float32Array<ArrayBuffer>[] {
  const [centre] = gaussianRows(seed, 1, length);
  return gaussianRows(seed + 1, N, length).map((row, r) =>
    row.map((value, i) => (r < F ? 6 * value : centre[i] + 0.5 * value)),
  );
}

const run = (specification: Specification, rows: Float32Array[]): Float32Array =>
  aggregate(specification, rows, { layers: [4, rows[0].length - 4] }).delta;

const MOVING: Specification[] = [
  { rule: "mean" },
  { rule: "median" },
  { rule: "trimmed-mean", f: F },
  { rule: "meamed", f: F },
  { rule: "krum", f: F },
  { rule: "multi-krum", f: F },
  { rule: "geometric-median" },
  { rule: "mda", f: F },
  { rule: "caf", f: F },
  { rule: "dnc", f: F },
  { rule: "trimmed-mean", f: F, before: [{ rule: "nnm", f: F }] },
  { rule: "krum", f: F, layerwise: true },
];

/** These look at lengths, angles or signs, which a shift changes. */
const FIXED: Specification[] = [
  { rule: "rlr", theta: 5 },
  { rule: "flame", lambda: 0 },
  { rule: "signguard" },
  { rule: "foolsgold" },
  { rule: "centered-clipping", tau: "median", iterations: 3, start: "zero" },
  { rule: "mean", before: [{ rule: "norm-clip", c: "median" }] },
  { rule: "mean", before: [{ rule: "arc", f: F }] },
  {
    rule: "trimmed-mean",
    f: 1,
    before: [
      { rule: "norm-reject", factor: 5 },
      { rule: "cosine", threshold: -0.06 },
    ],
  },
];

/** Its last picks are scored by one neighbour: two updates nearest to one another tie, and the first one wins. */
const BULYAN: Specification = { rule: "bulyan", f: F };

describe("every rule", () => {
  for (const specification of [...MOVING, ...FIXED]) {
    it(`${JSON.stringify(specification)} does not depend on the order of the updates`, () => {
      fc.assert(
        fc.property(seeds, (seed) => {
          const rows = rowsOf(seed);
          const next = uniform(seed);
          const shuffled = rows
            .map((row) => ({ row, key: next() }))
            .sort((a, b) => a.key - b.key)
            .map(({ row }) => row);
          assertClose(run(specification, shuffled), run(specification, rows), 1e-5);
        }),
        RUNS,
      );
    });
  }

  for (const specification of [...MOVING, ...FIXED, BULYAN]) {
    it(`${JSON.stringify(specification)} grows with the updates`, () => {
      fc.assert(
        fc.property(seeds, fc.constantFrom(2, 0.125, 1024), (seed, factor) => {
          const rows = rowsOf(seed);
          const grown = rows.map((row) => row.map((value) => factor * value));
          const expected = run(specification, rows).map((value) => factor * value);
          assertClose(run(specification, grown), expected, 1e-5);
        }),
        RUNS,
      );
    });
  }

  for (const specification of [...MOVING, BULYAN]) {
    it(`${JSON.stringify(specification)} moves with the updates`, () => {
      fc.assert(
        fc.property(seeds, fc.constantFrom(-3, 0.5, 64), (seed, shift) => {
          const rows = rowsOf(seed);
          const moved = rows.map((row) => row.map((value) => value + shift));
          const expected = run(specification, rows).map((value) => value + shift);
          assertClose(run(specification, moved), expected, 1e-5);
        }),
        RUNS,
      );
    });
  }
});

describe("rules and their slow twins", () => {
  const agree = (check: (rows: Float32Array[]) => void) =>
    fc.assert(
      fc.property(seeds, fc.integer({ min: 5, max: 40 }), (seed, length) => check(rowsOf(seed, length))),
      RUNS,
    );

  it("agree on krum", () => {
    agree((rows) => {
      const scores = referenceKrumScores(rows, F);
      const { scores: got, selected } = aggregate({ rule: "krum", f: F }, rows);
      assertClose(got.krum as number[], scores, 1e-6);
      assert.deepEqual(selected, [scores.indexOf(Math.min(...scores))]);
    });
  });

  it("agree on mixing by nearest neighbours", () => {
    agree((rows) => {
      const mixed = referenceNnm(rows, F);
      const before = [{ rule: "nnm", f: F }] as const;
      assertClose(run({ rule: "median", before }, rows), referenceMedian(mixed), 1e-5);
      assertClose(run({ rule: "trimmed-mean", f: F, before }, rows), referenceTrimmedMean(mixed, F), 1e-5);
    });
  });

  it("agree on centered clipping", () => {
    agree((rows) => {
      const clipping = { rule: "centered-clipping", tau: 2, iterations: 3, start: "zero" } as const;
      assertClose(run(clipping, rows), referenceCenteredClipping(rows, 2, 3), 1e-5);
    });
  });

  it("agree on the weights of the covariance filter", () => {
    agree((rows) => {
      assertClose(aggregate({ rule: "caf", f: F }, rows).scores.caf as number[], referenceCafWeights(rows, F), 1e-4);
    });
  });

  it("agree on the majority of directions", () => {
    agree((rows) => {
      const { selected } = aggregate({ rule: "flame", lambda: 0 }, rows);
      assert.deepEqual(selected, referenceMajority(rows));
    });
  });

  it("agree on what is left of a layer by itself", () => {
    agree((rows) => {
      const parts = [rows.map((row) => row.slice(0, 4)), rows.map((row) => row.slice(4))];
      const expected = parts.flatMap((part) => {
        const order = referenceKrumScores(part, F).map((score, i) => [score, i]);
        const best = order.sort(([a], [b]) => a - b).slice(0, N - F);
        return referenceMean(best.map(([, i]) => part[i]));
      });
      assertClose(run({ rule: "multi-krum", f: F, layerwise: true }, rows), expected, 1e-5);
    });
  });
});

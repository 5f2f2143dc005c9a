import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { aggregate } from "../../src/aggregation/aggregate.ts";
import type { Specification } from "../../src/aggregation/table.ts";
import {
  referenceMedian,
  referenceNorm,
  referenceTrimmedMean,
  referenceWeightedSum,
} from "../../src/math/reference.ts";

const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;
const RUNS = { numRuns: 150 };

const value = fc.float({ min: -1000, max: 1000, noNaN: true });

/** n vectors of one length. */
const updates = fc
  .record({ n: fc.integer({ min: 3, max: 24 }), length: fc.integer({ min: 1, max: 70 }) })
  .chain(({ n, length }) =>
    fc.array(fc.float32Array({ min: -1000, max: 1000, noNaN: true, minLength: length, maxLength: length }), {
      minLength: n,
      maxLength: n,
    }),
  );

/** Rules that move with their input: no ties and no decisions. */
const SMOOTH: Specification[] = [{ rule: "mean" }, { rule: "median" }, { rule: "trimmed-mean", f: 1 }];

const run = (specification: Specification, deltas: Float32Array[]) => aggregate(specification, deltas).delta;

/** In each coordinate, but for rounding. */
function assertWithin(aggregated: Float32Array, deltas: readonly Float32Array[]): void {
  for (const [i, x] of aggregated.entries()) {
    const column = deltas.map((delta) => delta[i]);
    const slack = 1e-5 * (1 + Math.max(...column.map(Math.abs)));
    assert.ok(x >= Math.min(...column) - slack && x <= Math.max(...column) + slack);
  }
}

/**
 * No further apart than float32 sums may be, which round what they add: large values that cancel leave that behind.
 * sums: how many of them came to the two.
 */
function assertRounded(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  { of, sums = 1 }: { of: readonly Float32Array[]; sums?: number },
): void {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    const largest = Math.max(...of.map((delta) => Math.abs(delta[i])));
    const difference = Math.abs(got[i] - expected[i]);
    const lastPlace = Math.max(2 ** -23 * largest, 2 ** -149);
    assert.ok(difference <= 8 * sums * lastPlace, `value ${i}: got ${got[i]}, expected ${expected[i]}`);
  }
}

describe("rules", () => {
  it("give what their slow twins give", () => {
    fc.assert(
      fc.property(updates, fc.integer({ min: 0, max: 11 }), (deltas, wanted) => {
        const n = deltas.length;
        const f = Math.min(wanted, Math.ceil(n / 2) - 1);
        const weights = deltas.map((_, i) => 1 + (i % 5));
        const sum = weights.reduce((a, b) => a + b, 0);
        const shares = weights.map((weight) => weight / sum);
        const mean = aggregate({ rule: "mean" }, deltas, { weights }).delta;
        assertRounded(mean, referenceWeightedSum(deltas, shares), { of: deltas });
        assertRounded(run({ rule: "median" }, deltas), referenceMedian(deltas), { of: deltas });
        assertRounded(run({ rule: "trimmed-mean", f }, deltas), referenceTrimmedMean(deltas, f), { of: deltas });
      }),
      RUNS,
    );
  });

  it("do not depend on the order of the updates", () => {
    fc.assert(
      fc.property(updates, fc.infiniteStream(fc.nat()), (deltas, keys) => {
        const order = deltas.map((delta) => ({ delta, key: keys.next().value as number }));
        const shuffled = order.toSorted((a, b) => a.key - b.key).map(({ delta }) => delta);
        for (const specification of SMOOTH) {
          assertRounded(run(specification, shuffled), run(specification, deltas), { of: deltas, sums: 2 });
        }
      }),
      RUNS,
    );
  });

  it("move and stretch with the updates", () => {
    fc.assert(
      fc.property(updates, value, fc.float({ min: -8, max: 8, noNaN: true }), (deltas, shift, factor) => {
        const stretched = deltas.map((delta) => delta.map((x) => factor * x));
        const changed = deltas.map((delta) => delta.map((x) => factor * x + shift));
        for (const specification of SMOOTH) {
          const expected = Array.from(run(specification, deltas), (x) => factor * x + shift);
          assertRounded(run(specification, changed), expected, { of: [...changed, ...stretched], sums: 3 });
        }
      }),
      RUNS,
    );
  });

  it("stay within the range of the updates, coordinate by coordinate", () => {
    fc.assert(
      fc.property(updates, (deltas) => {
        for (const specification of SMOOTH) {
          assertWithin(run(specification, deltas), deltas);
        }
      }),
      RUNS,
    );
  });

  it("keep median and trimmed mean within the honest range, whatever fewer than half write", () => {
    fc.assert(
      fc.property(
        updates,
        fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) }),
        (deltas, lie) => {
          const f = Math.ceil(deltas.length / 2) - 1;
          const honest = deltas.slice(f);
          const lied = [...deltas.slice(0, f).map((delta) => delta.map(() => lie)), ...honest];
          for (const specification of [{ rule: "median" }, { rule: "trimmed-mean", f }] as Specification[]) {
            assertWithin(run(specification, lied), honest);
          }
        },
      ),
      RUNS,
    );
  });

  it("reject exactly the updates that are not finite", () => {
    const any = fc.array(fc.float32Array({ minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(any, (deltas) => {
        const usable = deltas.flatMap((delta, i) => (referenceNorm(delta) <= FLOAT32_MAX ? [i] : []));
        if (usable.length === 0) return;
        const { selected, delta } = aggregate({ rule: "median" }, deltas);
        assert.deepEqual(selected, usable);
        assert.ok(delta.every(Number.isFinite));
      }),
      RUNS,
    );
  });
});

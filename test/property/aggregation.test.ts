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
import { assertClose } from "../support/rows.ts";

const TOLERANCE = 1e-5;
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

describe("rules", () => {
  it("give what their slow twins give", () => {
    fc.assert(
      fc.property(updates, fc.integer({ min: 0, max: 11 }), (deltas, wanted) => {
        const n = deltas.length;
        const f = Math.min(wanted, Math.ceil(n / 2) - 1);
        const weights = deltas.map((_, i) => 1 + (i % 5));
        const sum = weights.reduce((a, b) => a + b, 0);
        const shares = weights.map((weight) => weight / sum);
        assertClose(
          aggregate({ rule: "mean" }, deltas, { weights }).delta,
          referenceWeightedSum(deltas, shares),
          TOLERANCE,
        );
        assertClose(run({ rule: "median" }, deltas), referenceMedian(deltas), TOLERANCE);
        assertClose(run({ rule: "trimmed-mean", f }, deltas), referenceTrimmedMean(deltas, f), TOLERANCE);
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
          assertClose(run(specification, shuffled), run(specification, deltas), TOLERANCE);
        }
      }),
      RUNS,
    );
  });

  it("move and stretch with the updates", () => {
    fc.assert(
      fc.property(updates, value, fc.float({ min: -8, max: 8, noNaN: true }), (deltas, shift, factor) => {
        const changed = deltas.map((delta) => delta.map((x) => factor * x + shift));
        for (const specification of SMOOTH) {
          const expected = Array.from(run(specification, deltas), (x) => factor * x + shift);
          assertClose(run(specification, changed), expected, 1e-4);
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

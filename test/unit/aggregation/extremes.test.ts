import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Aggregate, aggregate } from "../../../src/aggregation/aggregate.ts";
import type { AggregateOptions } from "../../../src/aggregation/input.ts";
import { referenceCenteredClipping, referenceMean, referenceWeiszfeld } from "../../../src/aggregation/reference.ts";
import type { Specification } from "../../../src/aggregation/table.ts";
import { referenceNorm, referenceSquaredDistance } from "../../../src/math/reference.ts";
import { coded } from "../../support/errors.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

const HONEST = [
  [1, 2],
  [1.1, 2.1],
  [0.9, 1.9],
  [1, 2.05],
  [1.05, 2],
  [0.95, 2],
].map((row) => Float32Array.from(row));
const ROOT = Float32Array.of(1, 2);
const EXACT = { smoothing: 0, iterations: 3000 };
const input = coded("aggregation.input");
const config = coded("config.invalid");

const run = (specification: object, deltas = HONEST, options: AggregateOptions = {}): Aggregate =>
  aggregate(specification as Specification, deltas, options);

describe("updates of the least and the greatest numbers", () => {
  it("do not make a root's rule infinite", () => {
    const expected = run({ rule: "fltrust", root: ROOT }).delta;
    for (const tiny of [1e-34, 1e-38, 1e-42, 1e-45]) {
      const { delta, selected } = run({ rule: "fltrust", root: ROOT }, [...HONEST, Float32Array.of(tiny, tiny)]);
      assertClose(delta, expected, 0.2);
      assert.equal(selected.includes(6), tiny > 1e-37, `${tiny}`);
    }
  });

  it("are refused where all together are not finite", () => {
    const long = new Float32Array(100).fill(3e37); // with noise of the length of the whole update at each value
    assert.throws(() => run({ rule: "flame", lambda: 1 }, [long, long, long]), input);
  });
});

describe("an update that is very long", () => {
  const near = gaussianRows(5, 6, 3).map((row) => row.map((value, k) => k + 0.3 * value));
  const close = (got: ArrayLike<number>, expected: readonly number[], scale: number, what: string): void => {
    const unit = (values: ArrayLike<number>): number[] => Array.from(values, (value) => value / scale);
    assert.doesNotThrow(() => assertClose(unit(got), unit(expected), 1e-5), what);
  };

  for (const scale of [1, 1e-3, 1e-9]) {
    it(`costs the others no digit of rules that move a point, where they are about ${scale}`, () => {
      const honest = near.map((row) => row.map((value) => scale * value));
      const lengths = [1e2, 1e4, 1e8, 1e14, 1e18, 1e25, 1e30, 2e38];
      for (const length of lengths.filter((size) => scale / size > 2 ** -128)) {
        // or float32 has no such weight
        const rows = [...honest, Float32Array.of(length, -length, length / 3)];
        const what = `${length}`;
        const [tau, iterations] = [0.5 * scale, 6];
        const clipping = { rule: "centered-clipping", tau, iterations, start: "zero" };
        close(run(clipping, rows).delta, referenceCenteredClipping(rows, tau, iterations), scale, what);
        const exact = referenceWeiszfeld(
          rows,
          honest[0].map((v, k) => (v + honest[1][k]) / 2),
          EXACT,
        );
        close(run({ rule: "geometric-median" }, rows).delta, exact, scale, what);
        const few = { smoothing: 0.1 * scale, iterations: 5 };
        const smoothed = referenceWeiszfeld(rows, referenceMean(rows), few);
        const size = Math.max(...smoothed.map(Math.abs));
        close(run({ rule: "geometric-median", ...few }, rows).delta, smoothed, Math.max(size, scale), what);
      }
    });
  }

  it("costs no digit where several are, of different lengths, or most updates are zero", () => {
    const several = [...near, Float32Array.of(1e9, 2e9, -1e9), Float32Array.of(-1e20, 1e20, 3e20)];
    const start = near[0].map((value, k) => (value + near[1][k]) / 2);
    close(run({ rule: "geometric-median" }, several).delta, referenceWeiszfeld(several, start, EXACT), 1, "several");
    const zeros = [0, 0, 0, 0, 1, 1e-30].map((value) => new Float32Array(3).fill(value));
    assert.deepEqual([...run({ rule: "geometric-median" }, zeros).delta], [0, 0, 0]);
    const clipping = { rule: "centered-clipping", tau: 0.1, iterations: 3, start: "zero" };
    close(run(clipping, zeros).delta, referenceCenteredClipping(zeros, 0.1, 3), 1, "zeros");
  });

  it("costs few digits where distances come from products", () => {
    const [n, length] = [100, 6_700]; // more values of all pairs than are taken by differences
    const honest = gaussianRows(6, n, length).map((row) => row.map((value) => 0.1 + value));
    for (const size of [1e3, 1e6, 1e30]) {
      const rows = [...honest, ...gaussianRows(7, 1, length).map((row) => row.map((value) => size * value))];
      const expected = referenceWeiszfeld(rows, referenceMean(honest), { smoothing: 0, iterations: 10 });
      const { delta } = run({ rule: "geometric-median" }, rows);
      const error = Math.sqrt(referenceSquaredDistance(delta, expected)) / referenceNorm(expected);

      assert.ok(error < 1e-6, `${size}: ${error}`);
    }
  });
});

describe("numbers that are none", () => {
  it("are refused in vectors, after they are float32", () => {
    for (const root of [[1e39, 0], [1e300, 1], [Number.NaN, 0], Float32Array.of(Number.POSITIVE_INFINITY, 0)]) {
      assert.throws(() => run({ rule: "fltrust", root }), config);
      assert.throws(() => run({ rule: "centered-clipping", tau: 1, iterations: 1, start: root }), config);
      assert.throws(() => run({ rule: "foolsgold", history: HONEST.map(() => root) }), config);
    }
  });

  it("are refused in options", () => {
    const rootless = { rule: "fltrust", root: "round" };
    assert.throws(() => run(rootless, HONEST, { root: Float32Array.of(Number.NaN, 1) }), input);
    assert.throws(() => run(rootless, HONEST, { root: [1, 2] as never }), TypeError);
    for (const value of [Number.NaN, -1, Number.NEGATIVE_INFINITY]) {
      assert.throws(() => run({ rule: "mean" }, HONEST, { weightCap: value }), input);
      assert.throws(() => run({ rule: "mean" }, HONEST, { normMax: value }), input);
    }
    assert.throws(() => run({ rule: "mean" }, HONEST, { weightCap: 0 }), input);
  });
});

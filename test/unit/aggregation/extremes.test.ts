import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Aggregate, aggregate } from "../../../src/aggregation/aggregate.ts";
import type { AggregateOptions } from "../../../src/aggregation/input.ts";
import type { Specification } from "../../../src/aggregation/table.ts";
import { coded } from "../../support/errors.ts";
import { assertClose } from "../../support/rows.ts";

const HONEST = [
  [1, 2],
  [1.1, 2.1],
  [0.9, 1.9],
  [1, 2.05],
  [1.05, 2],
  [0.95, 2],
].map((row) => Float32Array.from(row));
const ROOT = Float32Array.of(1, 2);
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

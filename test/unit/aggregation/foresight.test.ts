import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { Foresight } from "../../../src/aggregation/foresight.ts";
import type { Engine } from "../../../src/math/engine.ts";
import { LocalEngine } from "../../../src/math/engine.ts";
import { Reducer } from "../../../src/math/reducer.ts";
import { plainRows } from "../../../src/math/rows.ts";
import { gaussianRows } from "../../support/rows.ts";

const local = new LocalEngine(new Reducer());
const length = 300;
const rows = plainRows(gaussianRows(1, 9, length), length);
const weights = Float64Array.from({ length: 9 }, (_, r) => (r + 1) / 45);

/** An engine that counts how often it adds rows up. */
function counting(): { engine: Engine; calls: string[] } {
  const calls: string[] = [];
  const engine: Engine = {
    map: (name, given, parameters) => {
      calls.push(name);
      return local.map(name, given, parameters);
    },
    sum: (name, given, parameters) => {
      calls.push(name);
      return local.sum(name, given, parameters);
    },
    measuredSum: (given, of) => {
      calls.push("measuredSum");
      return local.measuredSum(given, of);
    },
  };
  return { engine, calls };
}

describe("a sum that is foreseen", () => {
  it("is taken with the norms, in one go, and has the same bits", () => {
    const { engine, calls } = counting();
    const foresight = new Foresight(engine, weights);
    assert.deepEqual(foresight.sum("squaredNorms", rows, {}), local.sum("squaredNorms", rows, {}));
    assert.deepEqual(foresight.map("rowsSum", rows, { weights }), local.map("rowsSum", rows, { weights }));
    assert.deepEqual(calls, ["measuredSum"]);
  });

  it("is not used for other rows or other weights, and overwritten then", () => {
    const { engine, calls } = counting();
    const foresight = new Foresight(engine, weights);
    foresight.sum("squaredNorms", rows, {});
    const foreseen = foresight.map("rowsSum", rows, { weights });
    const fewer = plainRows(rows.given.slice(1), length);
    const others = weights.map((weight) => weight / 2);
    const of = { weights: weights.slice(1) };
    assert.deepEqual(foresight.map("rowsSum", fewer, of), local.map("rowsSum", fewer, of));
    const halved = foresight.map("rowsSum", rows, { weights: others });
    assert.deepEqual(halved, local.map("rowsSum", rows, { weights: others }));
    assert.deepEqual(calls, ["measuredSum", "rowsSum", "rowsSum"]);
    foresight.forget(foreseen);
    assert.ok(foreseen.some((value) => value !== 0));
    foresight.forget(halved);
    assert.ok(foreseen.every((value) => value === 0));
  });

  it("leaves a mean that it was wrong about as if it had not been", () => {
    for (const bad of [Number.NaN, 1e30]) {
      const updates = [...rows.given, new Float32Array(length).fill(bad)];
      const capped = { normMax: 1e6, weightCap: 2, weights: [...weights, 1e6] };
      const { delta, rejected, weights: used } = aggregate({ rule: "mean" }, updates, capped);
      const without = aggregate({ rule: "mean" }, rows.given, { weightCap: 2, weights: [...weights] });
      assert.deepEqual(delta, without.delta);
      assert.deepEqual(used, [...without.weights, 0]);
      assert.deepEqual(
        rejected.map(({ index }) => index),
        [9],
      );
    }
  });
});

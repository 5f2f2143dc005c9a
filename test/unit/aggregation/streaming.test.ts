import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { defend, type Report } from "../../../src/aggregation/defence.ts";
import { readPolicy } from "../../../src/aggregation/policy.ts";
import { StreamingMean } from "../../../src/aggregation/streaming.ts";
import { StreamingDefence } from "../../../src/aggregation/streaming-defence.ts";
import { bytesFromFloats } from "../../../src/core/floats.ts";
import { coded } from "../../support/errors.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

/** An update in pieces of so many values. */
const piecesOf = (update: Float32Array, size: number) => () =>
  Array.from({ length: Math.ceil(update.length / size) }, (_, i) =>
    bytesFromFloats(update.subarray(i * size, (i + 1) * size)),
  );

describe("a streaming mean", () => {
  it("gives the weighted mean, whatever the pieces", () => {
    const rows = gaussianRows(1, 9, 100);
    const weights = rows.map((_, i) => i);
    for (const size of [1, 7, 100]) {
      const mean = new StreamingMean(100);
      for (const [i, row] of rows.entries()) assert.equal(mean.add(piecesOf(row, size), weights[i]).reason, null);
      const { delta, count } = mean.finish();
      assert.equal(count, 9);
      assertClose(delta, aggregate({ rule: "streaming-mean" }, rows, { weights }).delta, 1e-6);
    }
  });

  it("takes no update that is too short, too long, not finite or over the norm, and nothing of it", () => {
    const mean = new StreamingMean(4, { normMax: 10 });
    const add = (...values: number[]) => mean.add(piecesOf(Float32Array.from(values), 2)).reason;
    assert.equal(add(1, 2, 3), "update.length");
    assert.equal(add(1, 2, 3, 4, 5), "update.length");
    assert.equal(add(1, 2, 3, Number.NaN), "update.not_finite");
    assert.equal(add(1, 2, Number.POSITIVE_INFINITY, 4), "update.not_finite");
    assert.equal(add(1, 2, 3, 40), "update.norm");
    assert.throws(() => mean.finish(), coded("aggregation.precondition"));
    assert.equal(add(1, 2, 3, 4), null);
    assert.deepEqual([...mean.finish().delta], [1, 2, 3, 4]);
    assert.throws(() => add(1, 2, 3, 4), TypeError);
    assert.throws(() => mean.finish(), TypeError);
  });

  it("refuses weights and lengths that are none", () => {
    const mean = new StreamingMean(1);
    for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => mean.add(piecesOf(Float32Array.of(1), 1), weight), coded("aggregation.input"));
    }
    for (const length of [0, -1, 1.5, 1e12]) assert.throws(() => new StreamingMean(length), RangeError);
    for (const normMax of [Number.NaN, -1]) assert.throws(() => new StreamingMean(1, { normMax }), RangeError);
    mean.add(piecesOf(Float32Array.of(1), 1), 0);
    assert.throws(() => mean.finish(), coded("aggregation.precondition"));
  });

  it("says how long each update is, also of one over the norm", () => {
    const mean = new StreamingMean(2, { normMax: 10 });
    const add = (...values: number[]) => mean.add(piecesOf(Float32Array.from(values), 1));
    assert.deepEqual(add(3, 4), { norm: 5, reason: null });
    assert.deepEqual(add(30, 40), { norm: 50, reason: "update.norm" });
    assert.deepEqual(add(1, Number.NaN), { norm: null, reason: "update.not_finite" });
  });

  it("takes no piece that cuts a float", () => {
    const mean = new StreamingMean(2);
    assert.equal(mean.add(() => [new Uint8Array(6), new Uint8Array(2)]).reason, "update.length");
  });

  it("needs no memory for a further update", () => {
    const update = piecesOf(gaussianRows(1, 1, 5000)[0], 1000)();
    const mean = new StreamingMean(5000);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i++) mean.add(() => update);
    assert.equal(process.memoryUsage().arrayBuffers, before);
  });

  it("overwrites its sum when told to", () => {
    const mean = new StreamingMean(2);
    mean.add(piecesOf(Float32Array.of(3, 4), 2));
    const { delta } = mean.finish();
    mean.wipe();
    assert.deepEqual([...delta], [0, 0]);
    const unfinished = new StreamingMean(2);
    unfinished.wipe();
    assert.throws(() => unfinished.finish(), TypeError);
  });
});

describe("the defence of a streaming mean", () => {
  const policy = readPolicy({ aggregation: { rule: "streaming-mean" }, norm_max: 10, weight_cap: 2, updates_min: 2 });
  const of = (...values: number[]) => piecesOf(Float32Array.from(values), 1);

  it("caps weights by the middle of the last round's, and does without them where there was none", () => {
    const known = new StreamingDefence(policy, 1, [10, 1e9, 20]);
    const weights = [1, 40, 41, 1e9].map((examples) => known.add(of(1), examples).weight);
    assert.deepEqual(weights, [1, 40, 40, 40]);
    const unknown = new StreamingDefence(policy, 1, []);
    assert.deepEqual(
      [1, 40, 1e9].map((examples) => unknown.add(of(1), examples).weight),
      [1, 1, 1],
    );
  });

  it("gives the mean and verdicts of the one that has all updates before it, where the caps agree", () => {
    const updates = gaussianRows(3, 6, 50).map((delta, i) => ({ delta, examples: 1 + i }));
    updates[2].delta.fill(100);
    updates[4].delta[7] = Number.NaN;
    const expected = defend(policy, updates, 50);
    const streaming = new StreamingDefence(policy, 50, [1, 2, 4, 6]); // as of those that defend accepts
    const reports = updates.map(({ delta, examples }) => streaming.add(piecesOf(delta, 8), examples));
    const shape = (all: readonly Report[]) => all.map(({ norm, ...report }) => [norm?.toFixed(3), report]);
    assert.deepEqual(shape(reports), shape(expected.reports));
    assertClose(streaming.finish(), expected.delta, 1e-6);
    assert.deepEqual(streaming.specification, expected.specification);
  });

  it("refuses counts that are none, and gives no mean of fewer updates than promised", () => {
    const defence = new StreamingDefence(policy, 1, []);
    for (const examples of [0, -1, 1.5, 1e15]) {
      assert.equal(defence.add(of(1), examples).reason, "update.examples");
    }
    defence.add(of(1), 1);
    assert.throws(() => defence.finish(), coded("aggregation.precondition", /at least 2 updates, got 1/));
  });
});

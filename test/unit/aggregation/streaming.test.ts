import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { StreamingMean } from "../../../src/aggregation/streaming.ts";
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
      for (const [i, row] of rows.entries()) assert.equal(mean.add(piecesOf(row, size), weights[i]), undefined);
      const { delta, count } = mean.finish();
      assert.equal(count, 9);
      assertClose(delta, aggregate({ rule: "streaming-mean" }, rows, { weights }).delta, 1e-6);
    }
  });

  it("takes no update that is too short, too long, not finite or over the norm, and nothing of it", () => {
    const mean = new StreamingMean(4, { normMax: 10 });
    const add = (...values: number[]) => mean.add(piecesOf(Float32Array.from(values), 2));
    assert.equal(add(1, 2, 3), "update.length");
    assert.equal(add(1, 2, 3, 4, 5), "update.length");
    assert.equal(add(1, 2, 3, Number.NaN), "update.not_finite");
    assert.equal(add(1, 2, Number.POSITIVE_INFINITY, 4), "update.not_finite");
    assert.equal(add(1, 2, 3, 40), "update.norm");
    assert.throws(() => mean.finish(), coded("aggregation.precondition"));
    assert.equal(add(1, 2, 3, 4), undefined);
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
    mean.add(piecesOf(Float32Array.of(1), 1), 0);
    assert.throws(() => mean.finish(), coded("aggregation.precondition"));
  });
});

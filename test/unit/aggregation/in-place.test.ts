import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { AggregationPool } from "../../../src/aggregation/pool.ts";
import { RowArena } from "../../../src/aggregation/row-arena.ts";
import { PIECE } from "../../../src/math/engine.ts";
import { gaussianRows } from "../../support/rows.ts";
import { everySpecification } from "../../support/specifications.ts";

const COUNT = 11;
const LENGTH = PIECE + 4096 + 37;
const OPTIONS = {
  weights: Array.from({ length: COUNT }, (_, r) => 1 + r),
  weightCap: 2,
  layers: [1000, 7, LENGTH - 1007],
  length: LENGTH,
};

describe("updates in the memory of the kernel", () => {
  const updates = gaussianRows(1, COUNT, LENGTH);
  updates[3][PIECE] = Number.NaN;
  const arena = new RowArena();
  const { reducer } = arena;
  arena.open(COUNT, LENGTH);
  const inside = updates.map((update) => {
    const row = arena.take();
    row.set(update);
    return row;
  });
  const mixed = updates.map((update, r) => (r % 2 === 0 ? inside[r] : update));

  it("come to the bits of updates that lie elsewhere under every rule, also beside such", () => {
    for (const specification of [...everySpecification(COUNT - 1), { rule: "default", f: 1 } as const]) {
      const name = JSON.stringify(specification);
      const expected = aggregate(specification, updates, OPTIONS);
      assert.deepEqual(expected.rejected[0], { index: 3, reason: "update.not_finite" }, name);
      assert.deepEqual(aggregate(specification, inside, { ...OPTIONS, reducer }), expected, name);
      assert.deepEqual(aggregate(specification, mixed, { ...OPTIONS, reducer }), expected, name);
    }
    assert.deepEqual(inside, updates);
  });

  it("are copied by a kernel that they do not belong to", () => {
    const expected = aggregate({ rule: "krum", f: 2 }, updates, OPTIONS);
    assert.deepEqual(aggregate({ rule: "krum", f: 2 }, inside, OPTIONS), expected);
  });

  it("come to the same bits in a pool of threads", async () => {
    const pool = new AggregationPool(2);
    try {
      for (const choice of [{ rule: "mean" }, { rule: "default", f: 1 }] as const) {
        assert.deepEqual(await pool.aggregate(choice, mixed, OPTIONS), aggregate(choice, updates, OPTIONS));
      }
    } finally {
      await pool.close();
    }
  });
});

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { AggregationPool } from "../../../src/aggregation/pool.ts";
import type { Choice } from "../../../src/aggregation/specification.ts";
import { PIECE } from "../../../src/math/engine.ts";
import { coded } from "../../support/errors.ts";
import { gaussianRows } from "../../support/rows.ts";

const LENGTH = 2 * PIECE + 77;
const LAYERS = [1000, LENGTH - 1000];
const CHOICES: Choice[] = [
  { rule: "default", f: 2 },
  { rule: "heterogeneous" },
  { rule: "backdoor", f: 2 },
  { rule: "streaming-mean" },
  { rule: "median" },
  { rule: "meamed", f: 2 },
  { rule: "krum", f: 2, before: [{ rule: "nnm", f: 2 }] },
  { rule: "bulyan", f: 1, layerwise: true },
  { rule: "geometric-median", before: [{ rule: "norm-clip", c: "median" }] },
  { rule: "dnc", f: 2, iterations: 2, coordinates: 900 },
  { rule: "rlr", theta: 3 },
  { rule: "flame" },
  { rule: "signguard", before: [{ rule: "cosine", threshold: -1 }] },
];

describe("a pool of threads", () => {
  const rows = gaussianRows(1, 9, LENGTH);
  const weights = rows.map((_, i) => 1 + i);
  const pools: AggregationPool[] = [];
  before(() => pools.push(...[1, 2, 3].map((threads) => new AggregationPool(threads))));
  after(async () => {
    await Promise.all(pools.map((pool) => pool.close()));
  });

  it("gives the bits that one thread gives, whatever the number of threads", async () => {
    const options = { weights, weightCap: 2, layers: LAYERS };
    for (const choice of CHOICES) {
      const expected = aggregate(choice, rows, options);
      for (const pool of pools) assert.deepEqual(await pool.aggregate(choice, rows, options), expected);
    }
  });

  it("leaves updates in shared memory where they are, and copies no trace of others", async () => {
    const inPlace = rows.map((row) => {
      const view = new Float32Array(new SharedArrayBuffer(row.byteLength));
      view.set(row);
      return view;
    });
    const { delta } = await pools[1].aggregate({ rule: "median" }, inPlace);
    assert.deepEqual(delta, aggregate({ rule: "median" }, rows).delta);
    assert.deepEqual([...inPlace[0].subarray(0, 9)], [...rows[0].subarray(0, 9)]);
  });

  it("refuses what one thread refuses, with the same words, and goes on", async () => {
    const [few, input] = [
      coded("aggregation.precondition", /krum needs n >= 2f \+ 3, .*got n = 9/),
      coded("aggregation.input"),
    ];
    await assert.rejects(pools[2].aggregate({ rule: "krum", f: 4 }, rows), few);
    await assert.rejects(pools[2].aggregate({ rule: "mean" }, []), input);
    await assert.rejects(pools[2].aggregate({ rule: "meen" } as never, rows), coded("config.invalid"));
    const { selected } = await pools[2].aggregate({ rule: "mean" }, rows.slice(0, 2));
    assert.deepEqual(selected, [0, 1]);
  });

  it("survives calls that are mistakes, and answers those around them", async () => {
    const pool = pools[1];
    const mean = { rule: "mean" } as const;
    const around = [pool.aggregate(mean, rows)];
    await assert.rejects(pool.aggregate(mean, rows, null as never), TypeError);
    await assert.rejects(pool.aggregate(mean, [[1, 2]] as never), /expected updates of Float32Array/);
    await assert.rejects(pool.aggregate(mean, null as never), TypeError);
    await assert.rejects(pool.aggregate(mean, rows, { weights: 5 } as never), coded("aggregation.input"));
    await assert.rejects(pool.aggregate(mean, rows, { layers: () => 1 } as never), /could not be cloned/);
    const layerwise = { rule: "krum", f: 1, layerwise: true } as const;
    await assert.rejects(pool.aggregate(layerwise, rows, { layers: 5 } as never), TypeError);
    around.push(pool.aggregate(mean, rows));
    const { delta } = aggregate(mean, rows);
    for (const result of await Promise.all(around)) assert.deepEqual(result.delta, delta);
  });

  it("refuses calls after it is closed, and threads that are none", async () => {
    const pool = new AggregationPool(1);
    const waiting = assert.rejects(pool.aggregate({ rule: "mean" }, rows), /pool is closed/);
    await pool.close();
    await waiting;
    await assert.rejects(pool.aggregate({ rule: "mean" }, rows), /pool is closed/);
    for (const threads of [0, -1, 1.5, Number.NaN, 1000]) assert.throws(() => new AggregationPool(threads), RangeError);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseChain } from "../../../src/aggregation/chain.ts";
import { readPolicy } from "../../../src/aggregation/policy.ts";
import { createDataset } from "../../../src/learning/dataset.ts";
import { DEFAULT_PLAN } from "../../../src/learning/defaults.ts";
import { parseAttack } from "../../../src/simulate/attacks.ts";
import { SimulationFolder } from "../../../src/simulate/folder.ts";
import { type Grid, type RunStore, runGrid } from "../../../src/simulate/grid.ts";
import { shared } from "../../../src/simulate/jobs.ts";
import { checkRule, checkSetting, cohortOf, liarsOf, type RunPlan, type Setting } from "../../../src/simulate/plan.ts";
import { Pool } from "../../../src/simulate/pool.ts";
import { Run, type Snapshot } from "../../../src/simulate/run.ts";
import { csvOf, summarise } from "../../../src/simulate/summary.ts";
import { folderOf } from "../../support/folder.ts";
import { gaussianRows } from "../../support/rows.ts";

/** Three clouds of points. */
function clouds(seed: number, count: number) {
  const noise = gaussianRows(seed, count, 16);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 3);
  const features = new Float32Array(16 * count);
  for (const [i, row] of noise.entries()) {
    for (const [k, value] of row.entries()) features[16 * i + k] = 0.5 * value + (k % 3 === labels[i] ? 1 : 0);
  }
  return createDataset(features, labels, 3);
}

const data = { training: shared(clouds(1, 240)), test: shared(clouds(2, 90)) };
const setting: Setting = {
  ...{ devices: 12, sample: 0.5, rounds: 4, partition: "dirichlet:1", examplesMax: 0, byzantine: 0.25 },
  model: { kind: "softmax", inputs: 16, classes: 3 },
  training: { ...DEFAULT_PLAN, epochs: 1, batch_size: 8, learning_rate: 0.1 },
  ...{ evaluateEvery: 1, rootExamples: 0 },
};
const rule = (aggregation: object) => ({
  text: JSON.stringify(aggregation),
  policy: readPolicy({ aggregation, norm_max: 1e6, weight_cap: 2, updates_min: 1 }),
});
const MEAN = rule({ rule: "mean" });
const MEDIAN = rule({ rule: "median" });
const planOf = (attack: string): RunPlan => ({ ...setting, attack: parseAttack(attack), rule: MEDIAN, seed: 5 });

async function withPool<T>(threads: number, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = new Pool(threads, data);
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}

async function finish(run: Run): Promise<Snapshot> {
  while (!run.isFinished) await run.round();
  return run.snapshot;
}

test("a run is the same to the bit on one thread, on three, and when it goes on from its middle", async () => {
  for (const attack of ["gauss", "optimal-ipm", "backdoor:2"]) {
    const plan = planOf(attack);
    const [alone, three] = [
      await withPool(1, (pool) => finish(new Run(plan, pool))),
      await withPool(3, (pool) => finish(new Run(plan, pool))),
    ];
    const resumed = await withPool(2, async (pool) => {
      const first = new Run(plan, pool);
      await first.round();
      await first.round();
      return await finish(new Run(plan, pool, first.snapshot));
    });
    assert.deepEqual(three, alone, attack);
    assert.deepEqual(resumed, alone, attack);
    assert.equal(alone.records.length, 4);
  }
});

test("a run learns, and its liars and honest devices are counted", async () => {
  const { records } = await withPool(1, (pool) => finish(new Run(planOf("nan"), pool)));
  const last = records.at(-1)!;
  assert.ok(last.accuracy! > 0.6, `accuracy ${last.accuracy}`);
  for (const record of records) {
    assert.equal(record.honest + record.liars, 6);
    assert.equal(record.excludedLiars, record.liars);
    assert.equal(record.excludedHonest, 0);
  }
});

test("a round whose rule refuses leaves the model as it was and says why", async () => {
  const plan = { ...planOf("none"), rule: rule({ rule: "krum", f: 5 }) };
  const { records } = await withPool(1, (pool) => finish(new Run(plan, pool)));
  assert.ok(records.every(({ failure }) => failure === "aggregation.precondition"));
  assert.equal(new Set(records.map(({ accuracy }) => accuracy)).size, 1);
});

test("who takes part and who lies follows from the seed alone", () => {
  const plan = planOf("scale");
  assert.deepEqual(cohortOf(plan, 3), cohortOf(plan, 3));
  assert.notDeepEqual(cohortOf(plan, 1), cohortOf(plan, 2));
  assert.equal(new Set(cohortOf(plan, 1)).size, 6);
  assert.equal(liarsOf(plan).size, 3);
  assert.equal(liarsOf({ ...plan, attack: parseAttack("none") }).size, 0);
});

const grid: Grid = {
  setting,
  rules: [MEAN, MEDIAN],
  attacks: ["none", "backdoor"].map(parseAttack),
  seeds: [1, 2],
};

async function runIn(store: RunStore, threads = 2, onRound = () => {}) {
  return await withPool(threads, (pool) => runGrid(grid, { pool, store, nowMs: () => performance.now(), onRound }));
}

test("a grid is every rule against every attack with every seed, whatever the threads", async (context) => {
  const folder = new SimulationFolder(folderOf(context), grid);
  const nowhere: RunStore = { load: () => undefined, save: () => undefined };
  const results = await runIn(folder);
  assert.equal(results.length, 8);
  assert.deepEqual(await runIn(nowhere, 1), results);
});

test("a finished grid is not run again, and a folder takes one plan alone", async (context) => {
  const path = folderOf(context);
  const results = await runIn(new SimulationFolder(path, grid));
  let rounds = 0;
  const again = await runIn(new SimulationFolder(path, grid), 2, () => {
    rounds += 1;
  });
  assert.equal(rounds, 0);
  assert.deepEqual(again, results);
  assert.throws(() => new SimulationFolder(path, { ...grid, seeds: [1] }), { code: "config.invalid" });
});

test("rules that differ in a sign or at their end alone are kept apart", async (context) => {
  const long = "norm-reject:factor=5/norm-reject:factor=6/norm-reject:factor=7/trimmed-mean:f=";
  const texts = ["cosine:threshold=0.9/mean", "cosine:threshold=-0.9/mean", `${long}1`, `${long}2`];
  const rules = texts.map((text) => ({ text, policy: readPolicy({ aggregation: parseChain(text) }) }));
  const apart: Grid = { ...grid, rules, attacks: [parseAttack("none")], seeds: [1] };
  const run = (store: RunStore) =>
    withPool(2, (pool) => runGrid(apart, { pool, store, nowMs: () => performance.now(), onRound: () => {} }));
  const path = folderOf(context);
  const results = await run(new SimulationFolder(path, apart));
  assert.deepEqual(await run(new SimulationFolder(path, apart)), results);
  assert.deepEqual(
    results.map(({ rule: name }) => name),
    texts,
  );
  assert.notDeepEqual(results[0].records, results[1].records);
});

test("a rule that judges each layer by itself gets the layers of the model", async () => {
  const plan = { ...planOf("none"), rule: rule({ rule: "krum", f: 1, layerwise: true }) };
  const { records } = await withPool(1, (pool) => finish(new Run(plan, pool)));
  assert.deepEqual(
    records.map(({ failure }) => failure),
    [null, null, null, null],
  );
});

test("a summary gives the mean over seeds, the worst attack and the backdoor's success", async () => {
  const results = await runIn({ load: () => undefined, save: () => undefined });
  const { cells, rules } = summarise(results);
  assert.equal(cells.length, 4);
  for (const { rounds, failedRounds } of cells) assert.deepEqual([rounds, failedRounds], [2 * 4, 0]);
  for (const { rule: name, clean, worst, worstBackdoor } of rules) {
    const own = cells.filter((cell) => cell.rule === name);
    assert.equal(clean, own.find((cell) => cell.attack === "none")!.accuracy.mean);
    assert.equal(worst.attack, "none", "a backdoor is not counted as a loss of accuracy");
    assert.equal(worstBackdoor, own.find((cell) => cell.attack === "backdoor")!.backdoor!.mean);
  }
  const lines = csvOf(results).trim().split("\n");
  assert.equal(lines.length, 1 + 8 * 4);
  assert.match(lines[1], /^"\{""rule"":""mean""\}",none,1,1,/);
});

test("a rule that no round of the setting can run is refused", () => {
  const steps = [{ rule: "bucketing", s: 2 }];
  for (const ran of [{ rule: "krum", f: 1 }, { rule: "default" }, { rule: "krum", f: 0, before: steps }]) {
    checkRule(setting, rule(ran));
  }
  for (const wrong of [
    { rule: "krum", f: 2 },
    { rule: "mean", before: [{ rule: "nnm", f: 3 }] },
    { rule: "krum", f: 1, before: steps },
    { rule: "fltrust", root: "round" },
  ]) {
    assert.throws(() => checkRule(setting, rule(wrong)), { code: "config.invalid" });
  }
  checkRule({ ...setting, rootExamples: 5 }, rule({ rule: "fltrust", root: "round" }));
});

test("a setting out of range is refused", () => {
  for (const wrong of [{ devices: 0 }, { sample: 0 }, { sample: 1.1 }, { byzantine: 0.5 }, { rounds: 0.5 }]) {
    assert.throws(() => checkSetting({ ...setting, ...wrong }), { code: "config.invalid" });
  }
});

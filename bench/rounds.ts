// Federated rounds in one process, plain weighted mean of deltas: how fast accuracy grows. This is where the defaults
// of src/learning/defaults.ts come from.
// Usage: node bench/rounds.ts [iid | dirichlet:<alpha> | shards:<n>] [plan members as JSON] [hidden widths as JSON]
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { type Dataset, selectRows } from "../src/learning/dataset.ts";
import { DEFAULT_MODEL, DEFAULT_PLAN } from "../src/learning/defaults.ts";
import { evaluate } from "../src/learning/evaluate.ts";
import { datasetFromIdx } from "../src/learning/idx.ts";
import { initialParameters, type ModelDescription } from "../src/learning/model.ts";
import { Network } from "../src/learning/network.ts";
import { parsePartition, partition } from "../src/learning/partition.ts";
import type { TrainingPlan } from "../src/learning/plan.ts";
import { createTrainer, type TrainingResult } from "../src/learning/trainer.ts";

const DATA = join(dirname(dirname(fileURLToPath(import.meta.url))), "data", "fashion-mnist");
const DEVICES = 10;
const ROUNDS = 10;
const SEEDS = [1, 2, 3, 4, 5];

function load(part: "train" | "t10k"): Dataset {
  const read = (kind: string): Uint8Array => gunzipSync(readFileSync(join(DATA, `${part}-${kind}-ubyte.gz`)));
  return datasetFromIdx(read("images-idx3"), read("labels-idx1"), 10);
}

function addMean(parameters: Float32Array, results: readonly TrainingResult[]): Float32Array {
  const total = results.reduce((sum, result) => sum + result.examples, 0);
  return parameters.map((value, i) =>
    results.reduce((sum, result) => sum + ((result.parameters[i] - value) * result.examples) / total, value),
  );
}

const [how = "iid", planText = "{}", hiddenText] = process.argv.slice(2);
const plan: TrainingPlan = { ...DEFAULT_PLAN, ...JSON.parse(planText) };
const description: ModelDescription =
  hiddenText === undefined
    ? DEFAULT_MODEL
    : hiddenText === "[]"
      ? { kind: "softmax", inputs: 784, classes: 10 }
      : { kind: "mlp", inputs: 784, hidden: JSON.parse(hiddenText), classes: 10 };
const train = load("train");
const test = load("t10k");
const network = new Network(description);
const finals: number[] = [];
const deviceMs: number[] = [];
for (const seed of SEEDS) {
  const parts = partition(train, DEVICES, parsePartition(how), seed);
  const trainers = parts.map((rows) => createTrainer(network, selectRows(train, rows)));
  let parameters: Float32Array = initialParameters(description, seed);
  const curve: string[] = [];
  let accuracy = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const results: TrainingResult[] = [];
    for (const [i, trainer] of trainers.entries()) {
      const start = performance.now();
      results.push(await trainer.train({ parameters, plan, seed: (seed * ROUNDS + round) * DEVICES + i }));
      deviceMs.push(performance.now() - start);
    }
    parameters = addMean(parameters, results);
    ({ accuracy } = evaluate(network, parameters, test));
    curve.push(accuracy.toFixed(3));
  }
  finals.push(accuracy);
  console.log(`seed ${seed}: ${curve.join(" ")}`);
}
deviceMs.sort((a, b) => a - b);
console.log(
  `${how} ${JSON.stringify(description)} ${JSON.stringify(plan)}: accuracy ${Math.min(...finals).toFixed(3)} to ` +
    `${Math.max(...finals).toFixed(3)}; a device's round ${deviceMs[deviceMs.length >> 1].toFixed(1)} ms (median), ` +
    `${deviceMs.at(-1)!.toFixed(1)} ms (longest); ${network.gemm.build} build`,
);

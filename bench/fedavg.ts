// Federated averaging as McMahan et al. (AISTATS 2017) tried it: the MLP 784-200-200-10 ("2NN"), 100 devices of 600
// images, a tenth of them a round, batches of 10, one pass, step 0.05, data alike. Rounds and seconds to an accuracy.
//
//   node bench/fedavg.ts --data <folder of IDX files> [--seed 1] [--rounds 30] [--accuracy 0.85] [--json]
//
// Ends with 1 where the accuracy is not reached. Debian's package dataset-fashion-mnist has the 60,000 images.

import { parseArgs } from "node:util";
import { loadTest, loadTraining } from "../src/cli/data.ts";
import { selectRows } from "../src/learning/dataset.ts";
import { DEFAULT_PLAN } from "../src/learning/defaults.ts";
import { evaluate } from "../src/learning/evaluate.ts";
import { initialParameters } from "../src/learning/model.ts";
import { namedModel } from "../src/learning/named-model.ts";
import { Network } from "../src/learning/network.ts";
import { partition } from "../src/learning/partition.ts";
import type { TrainingPlan } from "../src/learning/plan.ts";
import { createTrainer } from "../src/learning/trainer.ts";
import { PseudoRandom } from "../src/math/random.ts";

const DEVICES = 100;
const SELECTED = 10; // C = 0.1
const PLAN: TrainingPlan = { ...DEFAULT_PLAN, epochs: 1, batch_size: 10, learning_rate: 0.05 };

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    seed: { type: "string", default: "1" },
    rounds: { type: "string", default: "30" },
    accuracy: { type: "string", default: "0.85" },
    json: { type: "boolean", default: false },
  },
});
if (values.data === undefined) throw new Error("expected --data <folder of IDX files>");

const started = performance.now();
const seed = Number(values.seed);
const [train, test] = [loadTraining({ data: values.data }), loadTest({ data: values.data })!];
const description = namedModel("mlp:200,200", train.inputs, train.classes)!;
const network = new Network(description);
const trainers = partition(train, DEVICES, { kind: "iid" }, seed).map((rows) =>
  createTrainer(network, selectRows(train, rows)),
);
const selection = new PseudoRandom(seed, "selection");
let parameters = initialParameters(description, seed);
let reached: number | undefined;

for (let round = 1; round <= Number(values.rounds) && reached === undefined; round++) {
  parameters = await trainRound(parameters, round);
  const { accuracy, loss } = evaluate(network, parameters, test);
  if (accuracy >= Number(values.accuracy)) reached = round;
  const seconds = Number(((performance.now() - started) / 1000).toFixed(2));
  const line = { round, accuracy, loss, seconds };
  console.log(
    values.json
      ? JSON.stringify(line)
      : `round ${round}: accuracy ${accuracy.toFixed(4)}, loss ${loss.toFixed(4)}, ${seconds} s`,
  );
}
if (reached === undefined) process.exitCode = 1;

/** The mean of the selected devices' models, weighted by their examples. */
async function trainRound(base: Float32Array, round: number): Promise<Float32Array<ArrayBuffer>> {
  const sum = new Float64Array(base.length);
  let examples = 0;
  for (const device of selection.permutation(DEVICES).subarray(0, SELECTED)) {
    const trained = await trainers[device].train({ parameters: base, plan: PLAN, seed: DEVICES * round + device });
    for (let i = 0; i < sum.length; i++) sum[i] += trained.examples * trained.parameters[i];
    examples += trained.examples;
  }
  return new Float32Array(sum.map((value) => value / examples));
}

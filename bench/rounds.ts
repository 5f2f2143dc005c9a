// Federated rounds in one process: how accuracy grows, and whom the defence turns away. The defaults of
// src/learning/defaults.ts and the threshold of src/aggregation/presets.ts come from here.
//
//   node bench/rounds.ts [--partition iid] [--rule default] [--malicious 0] [--attack sign-flip] [--seeds 1,2,3,4,5]
//                        [--hidden 64] [--plan '{"epochs":2}']
//
// Ten devices share 6,000 images; ten rounds; accuracy on 1,000 others. Besides the counts it prints the least cosine
// of an honest update and the greatest of a liar's, between which a threshold must lie.

import { parseArgs } from "node:util";
import { parseChain } from "../src/aggregation/chain.ts";
import { defend, type Report } from "../src/aggregation/defence.ts";
import { readPolicy } from "../src/aggregation/policy.ts";
import { loadTest, loadTraining, shareOf } from "../src/cli/data.ts";
import { parseAttack, poisonDataset, poisonDelta } from "../src/learning/attacks.ts";
import { DEFAULT_MODEL, DEFAULT_PLAN } from "../src/learning/defaults.ts";
import { evaluate } from "../src/learning/evaluate.ts";
import { initialParameters, type ModelDescription } from "../src/learning/model.ts";
import { Network } from "../src/learning/network.ts";
import type { TrainingPlan } from "../src/learning/plan.ts";
import { createTrainer } from "../src/learning/trainer.ts";

const DEVICES = 10;
const ROUNDS = 10;

const { values } = parseArgs({
  options: {
    partition: { type: "string", default: "iid" },
    rule: { type: "string", default: "default" },
    malicious: { type: "string", default: "0" },
    attack: { type: "string", default: "sign-flip" },
    seeds: { type: "string", default: "1,2,3,4,5" },
    hidden: { type: "string" },
    plan: { type: "string", default: "{}" },
  },
});
const hidden = values.hidden?.split(",").map(Number);
const description: ModelDescription =
  hidden === undefined ? DEFAULT_MODEL : { kind: "mlp", inputs: 784, hidden, classes: 10 };
const plan: TrainingPlan = { ...DEFAULT_PLAN, ...JSON.parse(values.plan) };
const policy = readPolicy({ aggregation: parseChain(values.rule) });
const attack = parseAttack(values.attack);
const liars = Number(values.malicious);
const train = loadTraining({});
const test = loadTest({})!;
const network = new Network(description);

interface Outcome {
  readonly accuracy: number;
  readonly honest: readonly Report[];
  readonly lying: readonly Report[];
}

async function run(seed: number): Promise<Outcome> {
  const trainers = Array.from({ length: DEVICES }, (_, i) => {
    const own = shareOf(train, `${i + 1}/${DEVICES}`, values.partition, seed);
    return createTrainer(network, i < DEVICES - liars ? own : poisonDataset(attack, own));
  });
  const honest: Report[] = [];
  const lying: Report[] = [];
  let parameters = initialParameters(description, seed);
  for (let round = 1; round <= ROUNDS; round++) {
    const updates = [];
    for (const [i, trainer] of trainers.entries()) {
      const trained = await trainer.train({ parameters, plan, seed: seed + round });
      const delta = trained.parameters.map((value, k) => value - parameters[k]);
      const isLiar = i >= DEVICES - liars;
      updates.push({ delta: isLiar ? poisonDelta(attack, delta, seed + round) : delta, examples: trained.examples });
    }
    const { delta, reports } = defend(policy, updates, parameters.length);
    parameters = parameters.map((value, k) => value + delta[k]);
    honest.push(...reports.slice(0, DEVICES - liars));
    lying.push(...reports.slice(DEVICES - liars));
  }
  return { accuracy: evaluate(network, parameters, test).accuracy, honest, lying };
}

function rejected(reports: readonly Report[]): string {
  return `${reports.filter((report) => report.verdict === "rejected").length} of ${reports.length}`;
}

function cosines(reports: readonly Report[], pick: (...values: number[]) => number): string {
  const found = reports.flatMap((report) => report.cosine ?? []);
  return found.length === 0 ? "none" : pick(...found).toFixed(2);
}

for (const seed of values.seeds.split(",").map(Number)) {
  const { accuracy, honest, lying } = await run(seed);
  console.log(
    `seed ${seed}: accuracy ${accuracy.toFixed(3)}, rejected: honest ${rejected(honest)}, liars ${rejected(lying)}; ` +
      `cosines: honest from ${cosines(honest, Math.min)}, liars up to ${cosines(lying, Math.max)}`,
  );
}

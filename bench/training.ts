// Training speed at batch 32 with plain SGD on one thread, of the MLP 784-200-10 and the CNN: samples a second of both
// kernel builds, and of torch on one thread where a Python has it.
// Usage: node bench/training.ts [runs]

import { spawnSync } from "node:child_process";
import { createDataset, type Dataset } from "../src/learning/dataset.ts";
import { DEFAULT_PLAN } from "../src/learning/defaults.ts";
import { initialParameters, type ModelDescription } from "../src/learning/model.ts";
import { namedModel } from "../src/learning/named-model.ts";
import { Network } from "../src/learning/network.ts";
import { createTrainer } from "../src/learning/trainer.ts";
import { PseudoRandom } from "../src/math/random.ts";
import type { Build } from "../src/math/workspace.ts";

const INPUTS = 784;
const CLASSES = 10;
const BATCH = 32;
const RUNS = Number(process.argv[2] ?? 7);
const PLAN = { ...DEFAULT_PLAN, epochs: 1, batch_size: BATCH, learning_rate: 0.01 };
/** A virtual environment may hide the Python that Debian's python3-torch is for. */
const PYTHONS = ["python3", "/usr/bin/python3"];

interface Case {
  readonly name: "mlp:200" | "cnn";
  readonly batches: number;
  readonly torch: string;
}

const CASES: readonly Case[] = [
  { name: "mlp:200", batches: 150, torch: "Flatten(), Linear(784, 200), ReLU(), Linear(200, 10)" },
  {
    name: "cnn",
    batches: 12,
    torch:
      "Conv2d(1, 16, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 32, 5, padding=2), ReLU(), MaxPool2d(2), " +
      "Flatten(), Linear(1568, 10)",
  },
];

const torchProgram = ({ torch, batches }: Case): string => `
import sys, time
try:
    import torch
except ImportError:
    sys.exit(3)
from torch.nn import *
torch.set_num_threads(1)
model = Sequential(${torch})
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loss = CrossEntropyLoss()
x, y = torch.randn(${batches * BATCH}, 1, 28, 28), torch.randint(0, 10, (${batches * BATCH},))
for run in range(${RUNS} + 1):
    order, start = torch.randperm(${batches * BATCH}), time.perf_counter()
    for rows in order.split(${BATCH}):
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    if run > 0:
        print(time.perf_counter() - start)
`;

function report(name: string, examples: number, seconds: readonly number[]): number {
  const sorted = seconds.toSorted((a, b) => a - b);
  const best = examples / sorted[0];
  const median = examples / sorted[sorted.length >> 1];
  console.log(`  ${name}: ${Math.round(median)} samples/s (median of ${seconds.length}), ${Math.round(best)} (best)`);
  return median;
}

function randomDataset(count: number): Dataset {
  const random = new PseudoRandom(1, "bench");
  const features = Float32Array.from({ length: count * INPUTS }, () => random.gaussian());
  return createDataset(
    features,
    Int32Array.from({ length: count }, () => random.below(CLASSES)),
    CLASSES,
  );
}

async function measure(description: ModelDescription, dataset: Dataset, build: Build): Promise<number> {
  const trainer = createTrainer(new Network(description, build), dataset);
  const parameters = initialParameters(description, 1);
  const seconds: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const start = performance.now();
    await trainer.train({ parameters, plan: PLAN, seed: run });
    if (run > 0) seconds.push((performance.now() - start) / 1000);
  }
  return report(`qflare, ${build} build`, dataset.count, seconds);
}

/** Seconds of each run; undefined where no Python here has torch. */
function measureTorch(model: Case): number[] | undefined {
  for (const python of PYTHONS) {
    const { status, stdout } = spawnSync(python, ["-c", torchProgram(model)], { encoding: "utf8" });
    if (status === 0) return stdout.trim().split("\n").map(Number);
  }
  return undefined;
}

for (const model of CASES) {
  console.log(`${model.name}, batch ${BATCH}`);
  const description = namedModel(model.name, INPUTS, CLASSES)!;
  const dataset = randomDataset(model.batches * BATCH);
  const plain = await measure(description, dataset, "plain");
  const relaxed = await measure(description, dataset, "relaxed");
  console.log(`  relaxed / plain: ${(relaxed / plain).toFixed(2)}`);
  const torch = measureTorch(model);
  if (torch === undefined) console.log("  torch: no Python here has it, no reference");
  else console.log(`  qflare relaxed / torch: ${(relaxed / report("torch", dataset.count, torch)).toFixed(2)}`);
}

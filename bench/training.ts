// Training speed at batch 32 with plain SGD on one thread, of the MLP 784-200-10 and the CNN: samples a second of both
// kernel builds, and of torch on one thread where a Python has it. Runs of all three take turns, so that whatever else
// the machine does falls on each alike.
// Usage: node bench/training.ts [runs]

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { createDataset, type Dataset } from "../src/learning/dataset.ts";
import { DEFAULT_PLAN } from "../src/learning/defaults.ts";
import { initialParameters } from "../src/learning/model.ts";
import { namedModel } from "../src/learning/named-model.ts";
import { Network } from "../src/learning/network.ts";
import { createTrainer } from "../src/learning/trainer.ts";
import { PseudoRandom } from "../src/math/random.ts";
import type { Build } from "../src/math/workspace.ts";

const INPUTS = 784;
const CLASSES = 10;
const BATCH = 32;
const RUNS = Number(process.argv[2] ?? 9);
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

/** Says its version; then for each line that it gets makes a run and says its seconds. */
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
print(torch.__version__, flush=True)
for line in sys.stdin:
    order, start = torch.randperm(${batches * BATCH}), time.perf_counter()
    for rows in order.split(${BATCH}):
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    print(time.perf_counter() - start, flush=True)
`;

interface Contender {
  readonly name: string;
  /** Seconds over all examples, once. */
  run(): Promise<number>;
  end(): void;
}

function randomDataset(count: number): Dataset {
  const random = new PseudoRandom(1, "bench");
  const features = Float32Array.from({ length: count * INPUTS }, () => random.gaussian());
  const labels = Int32Array.from({ length: count }, () => random.below(CLASSES));
  return createDataset(features, labels, CLASSES);
}

function ours({ name }: Case, dataset: Dataset, build: Build): Contender {
  const description = namedModel(name, INPUTS, CLASSES)!;
  const trainer = createTrainer(new Network(description, build), dataset);
  const parameters = initialParameters(description, 1);
  return {
    name: `qflare, ${build} build`,
    run: async () => {
      const start = performance.now();
      await trainer.train({ parameters, plan: PLAN, seed: 1 });
      return (performance.now() - start) / 1000;
    },
    end: () => undefined,
  };
}

/** Undefined where no Python here has torch. */
async function torch(model: Case): Promise<Contender | undefined> {
  for (const python of PYTHONS) {
    const child = spawn(python, ["-c", torchProgram(model)], { stdio: ["pipe", "pipe", "ignore"] });
    child.on("error", () => undefined); // no such Python: its lines end without one
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const version = await lines.next();
    if (version.done === true) continue;
    const run = async (): Promise<number> => {
      child.stdin.write("\n");
      return Number((await lines.next()).value);
    };
    return { name: `torch ${version.value}`, run, end: () => child.stdin.end() };
  }
  return undefined;
}

/** Samples a second: of the median run. */
async function compare(contenders: readonly Contender[], examples: number): Promise<number[]> {
  const seconds = contenders.map((): number[] => []);
  for (let run = 0; run <= RUNS; run++) {
    for (const [i, contender] of contenders.entries()) {
      const taken = await contender.run();
      if (run > 0) seconds[i].push(taken);
    }
  }
  return contenders.map((contender, i) => {
    contender.end();
    const sorted = seconds[i].toSorted((a, b) => a - b);
    const [best, median] = [examples / sorted[0], examples / sorted[sorted.length >> 1]];
    console.log(`  ${contender.name}: ${Math.round(median)} samples/s (median of ${RUNS}), ${Math.round(best)} (best)`);
    return median;
  });
}

for (const model of CASES) {
  console.log(`${model.name}, batch ${BATCH}`);
  const dataset = randomDataset(model.batches * BATCH);
  const own = [ours(model, dataset, "plain"), ours(model, dataset, "relaxed")];
  const reference = await torch(model);
  const speeds = await compare(reference === undefined ? own : [...own, reference], dataset.count);
  console.log(`  relaxed / plain: ${(speeds[1] / speeds[0]).toFixed(2)}`);
  if (reference === undefined) console.log("  torch: no Python here has it, no reference");
  else console.log(`  qflare relaxed / torch: ${(speeds[1] / speeds[2]).toFixed(2)}`);
}

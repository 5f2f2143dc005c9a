// Training speed of the MLP 784-200-10 at batch 32 with plain SGD, on one thread: samples a second of both kernel
// builds, and of torch on one thread where python3 has it.
// Usage: node bench/training.ts [runs]
import { spawnSync } from "node:child_process";
import { createDataset } from "../src/learning/dataset.ts";
import { initialParameters, type ModelDescription } from "../src/learning/model.ts";
import { Network } from "../src/learning/network.ts";
import { createTrainer } from "../src/learning/trainer.ts";
import { PseudoRandom } from "../src/math/random.ts";

const MODEL: ModelDescription = { kind: "mlp", inputs: 784, hidden: [200], classes: 10 };
const EXAMPLES = 200 * 32;
const PLAN = { epochs: 1, batch_size: 32, learning_rate: 0.01, momentum: 0, proximal_mu: 0 };
const RUNS = Number(process.argv[2] ?? 9);

const TORCH = `
import sys, time
try:
    import torch
except ImportError:
    sys.exit(3)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(784, 200), torch.nn.ReLU(), torch.nn.Linear(200, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loss = torch.nn.CrossEntropyLoss()
x, y = torch.randn(${EXAMPLES}, 784), torch.randint(0, 10, (${EXAMPLES},))
for run in range(${RUNS} + 1):
    order, start = torch.randperm(${EXAMPLES}), time.perf_counter()
    for rows in order.split(32):
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    if run > 0:
        print(time.perf_counter() - start)
`;

function report(name: string, seconds: readonly number[]): number {
  const sorted = seconds.toSorted((a, b) => a - b);
  const best = EXAMPLES / sorted[0];
  const median = EXAMPLES / sorted[sorted.length >> 1];
  console.log(`${name}: ${Math.round(median)} samples/s (median of ${seconds.length}), ${Math.round(best)} (best)`);
  return median;
}

async function measure(build: "relaxed" | "plain"): Promise<number> {
  const random = new PseudoRandom(1, "bench");
  const features = Float32Array.from({ length: EXAMPLES * MODEL.inputs }, () => random.gaussian());
  const labels = Int32Array.from({ length: EXAMPLES }, () => random.below(MODEL.classes));
  const trainer = createTrainer(new Network(MODEL, build), createDataset(features, labels, MODEL.classes));
  const parameters = initialParameters(MODEL, 1);
  const seconds: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const start = performance.now();
    await trainer.train({ parameters, plan: PLAN, seed: run });
    if (run > 0) seconds.push((performance.now() - start) / 1000);
  }
  return report(`qflare, ${build} build`, seconds);
}

const plain = await measure("plain");
const relaxed = await measure("relaxed");
console.log(`relaxed / plain: ${(relaxed / plain).toFixed(2)}`);
const torch = spawnSync("python3", ["-c", TORCH], { encoding: "utf8" });
if (torch.status === 0) {
  const reference = report("torch, one thread", torch.stdout.trim().split("\n").map(Number));
  console.log(`qflare relaxed / torch: ${(relaxed / reference).toFixed(2)}`);
} else {
  console.log("torch: python3 with torch is not installed, no reference");
}

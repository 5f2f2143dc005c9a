// The port behind which local training happens, and the built-in trainer. Any framework can implement the port: it
// receives flat parameters and gives flat parameters back.

import { QflareError } from "../core/error.ts";
import { PseudoRandom } from "../math/random.ts";
import type { Dataset } from "./dataset.ts";
import type { Network } from "./network.ts";
import { startSgd, stepSgd } from "./optimizer.ts";
import type { TrainingPlan } from "./plan.ts";

export interface TrainingJob {
  /** The global model, in the order of parameterLayout; not changed. */
  readonly parameters: Float32Array;
  readonly plan: TrainingPlan;
  /** Decides the order of the examples. */
  readonly seed: number;
}

export interface TrainingResult {
  /** The local model after training. */
  readonly parameters: Float32Array<ArrayBuffer>;
  /** Examples in the device's data set: its weight in a mean. */
  readonly examples: number;
  /** Mean loss over the last epoch, each batch before its step, in nats an example. */
  readonly loss: number;
}

export interface Trainer {
  train(job: TrainingJob): Promise<TrainingResult>;
}

/** Trains on the calling thread without pause. The network may be shared by trainers of the same thread. */
export function createTrainer(network: Network, dataset: Dataset): Trainer {
  network.checkFit(dataset);
  return { train: async (job) => train(network, dataset, job) };
}

function train(network: Network, dataset: Dataset, job: TrainingJob): TrainingResult {
  const { parameters, gradient } = network.gemm.regions;
  const random = new PseudoRandom(job.seed, "batches");
  network.load(job.parameters);
  gradient.fill(0);
  startSgd(network.gemm);
  let loss = 0;
  for (let epoch = 0; epoch < job.plan.epochs; epoch++) {
    loss = trainEpoch(network, dataset, job.plan, random.permutation(dataset.count));
  }
  // A sum is finite only where every element is: NaN and infinity survive addition.
  if (!Number.isFinite(loss) || !Number.isFinite(parameters.reduce((sum, value) => sum + value, 0))) {
    throw new QflareError("training.diverged", `expected a finite loss, got ${loss}; lower the learning rate`);
  }
  return { parameters: new Float32Array(parameters), examples: dataset.count, loss };
}

/** order: every example once. The last batch may be smaller. Returns the mean loss. */
function trainEpoch(network: Network, dataset: Dataset, plan: TrainingPlan, order: Int32Array): number {
  const options = { learningRate: plan.learning_rate, momentum: plan.momentum, proximalMu: plan.proximal_mu };
  let loss = 0;
  for (let start = 0; start < order.length; start += plan.batch_size) {
    loss += addGradient(network, dataset, order.subarray(start, start + plan.batch_size));
    stepSgd(network.gemm, options);
  }
  return loss / order.length;
}

/** Adds the gradient of the mean loss over the batch; returns the sum. */
export function addGradient(network: Network, dataset: Dataset, batch: Int32Array): number {
  let loss = 0;
  for (let start = 0; start < batch.length; start += network.rowsMax) {
    const rows = batch.subarray(start, start + network.rowsMax);
    network.forward(dataset, rows);
    loss += network.backward(rows.length, 1 / batch.length);
  }
  return loss;
}

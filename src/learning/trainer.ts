// The port behind which local training happens, and the built-in trainer. Any framework can implement the port: it
// receives flat parameters and gives flat parameters back.

import { QflareError } from "../core/error.ts";
import { PseudoRandom } from "../math/random.ts";
import type { Dataset } from "./dataset.ts";
import type { ModelDescription } from "./model.ts";
import type { Network } from "./network.ts";
import { Optimizer, type OptimizerOptions } from "./optimizer.ts";
import type { TrainingPlan } from "./plan.ts";

export interface TrainingJob {
  /** The global model, in the order of parameterLayout; not changed. */
  readonly parameters: Float32Array;
  readonly plan: TrainingPlan;
  /** Decides the order of the examples and what dropout drops. */
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
  /** Ends what it holds outside of memory; a job under way fails. */
  close?(): Promise<void>;
}

/** Trains on the calling thread without pause. The network may be shared by trainers of the same thread. */
export function createTrainer(network: Network, dataset: Dataset): Trainer {
  network.checkFit(dataset);
  return { train: async (job) => train(network, dataset, job) };
}

/**
 * One trainer from round to round as long as the model's description stays the same: building a network compiles its
 * kernels and lays out its memory.
 */
export function keepTrainer(make: (description: ModelDescription) => Trainer): (of: ModelDescription) => Trainer {
  let held: { readonly json: string; readonly trainer: Trainer } | undefined;
  return (description) => {
    const json = JSON.stringify(description);
    if (held?.json === json) return held.trainer;
    void held?.trainer.close?.();
    held = { json, trainer: make(description) };
    return held.trainer;
  };
}

function train(network: Network, dataset: Dataset, job: TrainingJob): TrainingResult {
  const { parameters } = network.workspace.regions;
  network.load(job.parameters);
  const pass: Pass = {
    network,
    dataset,
    optimizer: new Optimizer(network.workspace, optimizerOptions(job.plan)),
    dropout: new PseudoRandom(job.seed, "dropout"),
  };
  const random = new PseudoRandom(job.seed, "batches");
  let loss = 0;
  for (let epoch = 0; epoch < job.plan.epochs; epoch++) {
    loss = trainEpoch(pass, job.plan.batch_size, random.permutation(dataset.count));
  }
  // A sum is finite only where every element is: NaN and infinity survive addition.
  if (!Number.isFinite(loss) || !Number.isFinite(parameters.reduce((sum, value) => sum + value, 0))) {
    throw new QflareError("training.diverged", `expected a finite loss, got ${loss}; lower the learning rate`);
  }
  return { parameters: new Float32Array(parameters), examples: dataset.count, loss };
}

interface Pass {
  readonly network: Network;
  readonly dataset: Dataset;
  readonly optimizer: Optimizer;
  readonly dropout: PseudoRandom;
}

function optimizerOptions(plan: TrainingPlan): OptimizerOptions {
  return {
    kind: plan.optimizer,
    learningRate: plan.learning_rate,
    momentum: plan.momentum,
    proximalMu: plan.proximal_mu,
    weightDecay: plan.weight_decay,
  };
}

/** order: every example once. The last batch may be smaller. Returns the mean loss. */
function trainEpoch({ network, dataset, optimizer, dropout }: Pass, batchSize: number, order: Int32Array): number {
  let loss = 0;
  for (let start = 0; start < order.length; start += batchSize) {
    loss += addGradient(network, dataset, order.subarray(start, start + batchSize), dropout);
    optimizer.step();
  }
  return loss / order.length;
}

/** Adds the gradient of the mean loss over the batch; returns the sum. */
export function addGradient(network: Network, dataset: Dataset, batch: Int32Array, dropout?: PseudoRandom): number {
  let loss = 0;
  for (let start = 0; start < batch.length; start += network.rowsMax) {
    const rows = batch.subarray(start, start + network.rowsMax);
    network.forward(dataset, rows, dropout);
    loss += network.backward(rows.length, 1 / batch.length);
  }
  return loss;
}

// A worker thread of a simulation: trains the devices it is given, evaluates models.

import { parentPort, workerData } from "node:worker_threads";
import { QflareError } from "../core/error.ts";
import { type Dataset, selectRows } from "../learning/dataset.ts";
import { evaluate } from "../learning/evaluate.ts";
import type { ModelDescription } from "../learning/model.ts";
import { Network } from "../learning/network.ts";
import { parsePartition, partition } from "../learning/partition.ts";
import { createTrainer } from "../learning/trainer.ts";
import { PseudoRandom } from "../math/random.ts";
import { liarData } from "./attacks.ts";
import { triggered } from "./backdoor.ts";
import {
  type EvaluateAnswer,
  type EvaluateJob,
  type Job,
  ROOT_DEVICE,
  type SharedData,
  type Task,
  type TrainAnswer,
  type TrainJob,
} from "./jobs.ts";
import { trainingSeed } from "./plan.ts";

const SPLITS_MAX = 32;
const { training, test } = workerData as SharedData;
const networks = new Map<string, Network>();
const splits = new Map<string, readonly Int32Array[]>();
let withPatch: Dataset | undefined;

function kept<T>(cache: Map<string, T>, key: string, make: () => T): T {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  if (cache.size >= SPLITS_MAX) cache.delete(cache.keys().next().value!);
  cache.set(key, made);
  return made;
}

function networkOf(model: ModelDescription): Network {
  return kept(networks, JSON.stringify(model), () => new Network(model));
}

function rowsOf(job: TrainJob, device: number): Int32Array {
  if (device === ROOT_DEVICE) {
    return new PseudoRandom(job.seed, "root").permutation(training.count).subarray(0, job.rootExamples);
  }
  const key = `${job.partition} ${job.devices} ${job.seed}`;
  const split = kept(splits, key, () => partition(training, job.devices, parsePartition(job.partition), job.seed));
  const rows = split[device];
  return job.examplesMax === 0 ? rows : rows.subarray(0, job.examplesMax);
}

async function trainOne(job: TrainJob, { device, slot, isLiar }: Task): Promise<number | null> {
  const rows = selectRows(training, rowsOf(job, device));
  const dataset = isLiar ? liarData(job.attack, rows, trainingSeed(job.seed, 0, device)) : rows;
  const seed = trainingSeed(job.seed, job.round, device);
  const length = job.parameters.length;
  const delta = job.deltas.subarray(slot * length, (slot + 1) * length);
  try {
    const trainer = createTrainer(networkOf(job.model), dataset);
    const { parameters } = await trainer.train({ parameters: job.parameters, plan: job.training, seed });
    for (let i = 0; i < length; i++) delta[i] = parameters[i] - job.parameters[i];
    return dataset.count;
  } catch (error) {
    if (!(error instanceof QflareError && error.code === "training.diverged")) throw error;
    return null;
  }
}

async function train(job: TrainJob): Promise<TrainAnswer> {
  const examples: TrainAnswer = [];
  for (const task of job.tasks) examples.push(await trainOne(job, task));
  return examples;
}

function evaluateOne({ model, parameters, withBackdoor }: EvaluateJob): EvaluateAnswer {
  const network = networkOf(model);
  const { accuracy, loss } = evaluate(network, parameters, test);
  if (withBackdoor) withPatch ??= triggered(test);
  const backdoor = withBackdoor ? evaluate(network, parameters, withPatch!).accuracy : null;
  return { accuracy, loss, backdoor };
}

parentPort!.on("message", async (job: Job) => {
  try {
    parentPort!.postMessage({ answer: job.kind === "train" ? await train(job) : evaluateOne(job) });
  } catch (error) {
    parentPort!.postMessage({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});

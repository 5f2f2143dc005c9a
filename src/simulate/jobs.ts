// What travels between the simulation and its workers. Data sets, models and deltas lie in shared memory: a message
// holds references alone.

import type { Dataset } from "../learning/dataset.ts";
import type { ModelDescription } from "../learning/model.ts";
import type { TrainingPlan } from "../learning/plan.ts";
import type { Attack } from "./attacks.ts";

export interface SharedData {
  readonly training: Dataset;
  readonly test: Dataset;
}

/** Devices whose work this is: which, where its delta goes, whether it lies. */
export interface Task {
  readonly device: number;
  readonly slot: number;
  readonly isLiar: boolean;
}

/** The device number of the server's own examples. */
export const ROOT_DEVICE = -1;

export interface TrainJob {
  readonly kind: "train";
  readonly model: ModelDescription;
  readonly training: TrainingPlan;
  readonly devices: number;
  readonly partition: string;
  readonly examplesMax: number;
  readonly rootExamples: number;
  readonly seed: number;
  readonly round: number;
  readonly attack: Attack;
  /** The global model. */
  readonly parameters: Float32Array;
  /** slots x parameters; each task writes the row of its slot. */
  readonly deltas: Float32Array;
  readonly tasks: readonly Task[];
}

export interface EvaluateJob {
  readonly kind: "evaluate";
  readonly model: ModelDescription;
  readonly parameters: Float32Array;
  readonly withBackdoor: boolean;
}

export type Job = TrainJob | EvaluateJob;

/** Examples of each task's device, in the order of the tasks; null where its training diverged. */
export type TrainAnswer = (number | null)[];

export interface EvaluateAnswer {
  readonly accuracy: number;
  readonly loss: number;
  /** Share of patched test examples taken for class 0; null where it was not asked for. */
  readonly backdoor: number | null;
}

export function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

/** A copy in shared memory. */
export function shared(dataset: Dataset): Dataset {
  const features = sharedFloats(dataset.features.length);
  const labels = new Int32Array(new SharedArrayBuffer(4 * dataset.labels.length));
  features.set(dataset.features);
  labels.set(dataset.labels);
  // The learning floor only reads data sets, so shared memory is as good as its own.
  return { ...dataset, features, labels } as unknown as Dataset;
}

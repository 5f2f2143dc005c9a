// From the settings to the first model and the training plan.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Dataset } from "../learning/dataset.ts";
import { initialParameters, type ModelDescription } from "../learning/model.ts";
import { decodeModel, encodeModel, parseDescription } from "../learning/model-file.ts";
import { namedModel } from "../learning/named-model.ts";
import { Network } from "../learning/network.ts";
import type { TrainingPlan } from "../learning/plan.ts";
import { readBytes, readText } from "./files.ts";
import { UsageError } from "./output.ts";
import type { Settings } from "./settings.ts";

/** A model file. Throws UsageError where --model names none, model.malformed where the named file is none. */
export function firstModel({ model, inputs, classes, seed }: Settings): Uint8Array<ArrayBuffer> {
  if (model.endsWith(".safetensors")) {
    const file = new Uint8Array(readBytes(model, "--model", LIMITS.modelBytesMax));
    decodeModel(file);
    return file;
  }
  const description = modelNamed(model, inputs, classes);
  return encodeModel(description, initialParameters(description, seed));
}

/** The model of a name or of a file with its description. */
export function modelNamed(text: string, inputs: number, classes: number): ModelDescription {
  if (text.endsWith(".json")) {
    return parseDescription(readText(text, "--model", LIMITS.modelHeaderBytesMax));
  }
  const description = named(text, inputs, classes);
  if (description !== undefined) return description;
  throw new UsageError(
    `--model: expected softmax, mlp, such as mlp:64, cnn, or a .json or .safetensors file, got ${JSON.stringify(text)}`,
  );
}

/** A model that does not fit the data would fail every device. */
export function networkFor(description: ModelDescription, dataset: Dataset): Network {
  const network = new Network(description);
  try {
    network.checkFit(dataset);
  } catch (error) {
    throw error instanceof QflareError ? new UsageError(`--model: ${error.message}`) : error;
  }
  return network;
}

function named(name: string, inputs: number, classes: number): ModelDescription | undefined {
  try {
    return namedModel(name, inputs, classes);
  } catch (error) {
    throw error instanceof QflareError ? new UsageError(`--model: ${error.message}`) : error;
  }
}

export function trainingPlan(settings: Settings): TrainingPlan {
  const { epochs, batch_size, optimizer, learning_rate, momentum, proximal_mu, weight_decay } = settings;
  return { epochs, batch_size, optimizer, learning_rate, momentum, proximal_mu, weight_decay };
}

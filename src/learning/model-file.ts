// A model as a file: safetensors with the description as JSON in the metadata.

import { QflareError } from "../core/error.ts";
import { hasDuplicateKeys } from "../core/json.ts";
import { type ModelDescription, modelShape, parameterCount, parameterLayout } from "./model.ts";
import { decodeTensors, encodeTensors, type Tensor } from "./safetensors.ts";

export interface Model {
  readonly description: ModelDescription;
  /** Flat, in the order of parameterLayout. */
  readonly parameters: Float32Array<ArrayBuffer>;
}

const METADATA_KEY = "qflare.model";

/** The same model gives the same bytes. */
export function encodeModel(description: ModelDescription, parameters: Float32Array): Uint8Array<ArrayBuffer> {
  const count = parameterCount(description);
  if (parameters.length !== count) {
    throw new RangeError(`Cannot encode model: expected ${count} parameters, got ${parameters.length}`);
  }
  const tensors = parameterLayout(description).map(({ name, shape, offset, length }) => {
    return { name, shape, data: parameters.subarray(offset, offset + length) };
  });
  // The shape copies its members in their own order, whatever order the caller's object has.
  const json = JSON.stringify(modelShape.read(description, "model"));
  return encodeTensors({ tensors, metadata: { [METADATA_KEY]: json } });
}

/** The tensors must be those of the description and finite; other metadata is ignored. */
export function decodeModel(bytes: Uint8Array): Model {
  const { tensors, metadata } = decodeTensors(bytes);
  const json = metadata[METADATA_KEY] ?? refuse(`expected the description under ${METADATA_KEY} in the metadata`);
  const description = parseDescription(json);
  return { description, parameters: flatten(description, tensors) };
}

/** As decodeModel, of a file that another program wrote: without a description, and with metadata of its own. */
export function decodeParameters(description: ModelDescription, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  return flatten(description, decodeTensors(bytes).tensors);
}

function flatten(description: ModelDescription, tensors: readonly Tensor[]): Float32Array<ArrayBuffer> {
  const parameters = new Float32Array(parameterCount(description));
  const layout = parameterLayout(description);
  if (tensors.length !== layout.length) refuse(`expected ${layout.length} tensors, got ${tensors.length}`);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  for (const { name, shape, offset } of layout) parameters.set(takeTensor(byName, name, shape).data, offset);
  return parameters;
}

function takeTensor(byName: ReadonlyMap<string, Tensor>, name: string, shape: readonly number[]): Tensor {
  const tensor = byName.get(name) ?? refuse(`expected a tensor ${name}`);
  if (tensor.shape.join() !== shape.join()) {
    refuse(`expected ${name} of ${shape.join(" x ")}, got ${tensor.shape.join(" x ")}`);
  }
  if (!tensor.data.every((value) => Number.isFinite(value))) refuse(`expected finite values in ${name}`);
  return tensor;
}

/** json: a description on its own. Throws model.malformed. */
export function parseDescription(json: string): ModelDescription {
  try {
    const value: unknown = JSON.parse(json);
    if (!hasDuplicateKeys(json)) return modelShape.read(value, "model");
  } catch (cause) {
    refuse(cause instanceof QflareError ? cause.message : "expected a description of JSON", cause);
  }
  return refuse("expected every key of the description once");
}

function refuse(expectation: string, cause?: unknown): never {
  throw new QflareError("model.malformed", expectation, cause === undefined ? {} : { cause });
}

// What a model is: its description in JSON and where each tensor lies in the one flat parameter vector.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { list, object, oneOf, type Shape, uint } from "../core/shape.ts";
import { PseudoRandom } from "../math/random.ts";

/** Multinomial logistic regression: one dense layer. */
export interface SoftmaxDescription {
  readonly kind: "softmax";
  readonly inputs: number;
  readonly classes: number;
}

/** Multilayer perceptron: dense layers of the hidden widths with ReLU between them, then one of classes. */
export interface MlpDescription {
  readonly kind: "mlp";
  readonly inputs: number;
  readonly hidden: readonly number[];
  readonly classes: number;
}

export type ModelDescription = SoftmaxDescription | MlpDescription;

/** A tensor of the flat vector: elements [offset, offset + length), the last dimension contiguous. */
export interface TensorPlace {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

const width = uint(1, LIMITS.layerWidthMax);
const classes = uint(2, LIMITS.classesMax);
const SHAPES: Readonly<Record<ModelDescription["kind"], Shape<ModelDescription>>> = {
  softmax: object({ kind: oneOf("softmax"), inputs: width, classes }),
  mlp: object({ kind: oneOf("mlp"), inputs: width, hidden: list(width, 1, LIMITS.hiddenLayersMax), classes }),
};

/** Of every kind; it holds the limit on parameters too. */
export const modelShape: Shape<ModelDescription> = {
  read: (value, path) => {
    const description = SHAPES[kindOf(value, path)].read(value, path);
    const count = parameterCount(description);
    if (count <= LIMITS.parametersMax) return description;
    throw new QflareError("message.malformed", `${path}: expected at most ${LIMITS.parametersMax} parameters`);
  },
  schema: { oneOf: Object.values(SHAPES).map((shape) => shape.schema) },
  words: Object.values(SHAPES)
    .map((shape) => shape.words)
    .join(", or "),
};

function kindOf(value: unknown, path: string): ModelDescription["kind"] {
  const kind = value instanceof Map ? value.get("kind") : (value as { kind?: unknown } | null | undefined)?.kind;
  return oneOf("softmax", "mlp").read(kind, `${path}.kind`);
}

/** Widths from the inputs to the classes. */
export function layerWidths(description: ModelDescription): number[] {
  const hidden = description.kind === "mlp" ? description.hidden : [];
  return [description.inputs, ...hidden, description.classes];
}

/**
 * Tensors in order, without gaps. Names and shapes are those of torch.nn.Sequential(Linear, ReLU, Linear, ...): weights
 * are outputs x inputs, and ReLU takes a number of its own.
 */
export function parameterLayout(description: ModelDescription): TensorPlace[] {
  const widths = layerWidths(description);
  const places: TensorPlace[] = [];
  let offset = 0;
  const place = (name: string, shape: readonly number[]): void => {
    const length = shape.reduce((a, b) => a * b);
    places.push({ name, shape, offset, length });
    offset += length;
  };
  for (let i = 1; i < widths.length; i++) {
    place(`${2 * (i - 1)}.weight`, [widths[i], widths[i - 1]]);
    place(`${2 * (i - 1)}.bias`, [widths[i]]);
  }
  return places;
}

export function parameterCount(description: ModelDescription): number {
  return parameterLayout(description).reduce((sum, place) => sum + place.length, 0);
}

/**
 * Weights are uniform in +-sqrt(6 / inputs) before a ReLU (He et al., ICCV 2015) and +-sqrt(3 / inputs) in the last
 * layer; biases are zero. The same seed gives the same bytes.
 */
export function initialParameters(description: ModelDescription, seed: number): Float32Array<ArrayBuffer> {
  const random = new PseudoRandom(seed, "initial parameters");
  const weights = parameterLayout(description).filter((place) => place.shape.length === 2);
  const parameters = new Float32Array(parameterCount(description));
  for (const place of weights) {
    const gain = place === weights.at(-1) ? 3 : 6;
    const bound = Math.sqrt(gain / place.shape[1]);
    for (let i = 0; i < place.length; i++) parameters[place.offset + i] = bound * (2 * random.uniform() - 1);
  }
  return parameters;
}

// What a model is: its description in JSON and where each tensor lies in the one flat parameter vector.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { list, object, oneOf, type Shape, tagged, uint } from "../core/shape.ts";
import { PseudoRandom } from "../math/random.ts";
import { flat, isFlat, type LayerPlan, lengthOf, type ParameterPlan, type Size } from "./layers/layer.ts";
import { type LayerDescription, layerShape, planLayer } from "./layers/table.ts";
import { type LossKind, lossShape } from "./loss.ts";

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

/** Any layers, one behind the other; the last one is dense, its outputs are the classes. */
export interface SequentialDescription {
  readonly kind: "sequential";
  /** Features, or channels, height and width of an image; the data set has them in that order. */
  readonly input: readonly number[];
  readonly layers: readonly LayerDescription[];
  readonly loss: LossKind;
}

export type ModelDescription = SoftmaxDescription | MlpDescription | SequentialDescription;

/** A tensor of the flat vector: elements [offset, offset + length), the last dimension contiguous. */
export interface TensorPlace {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** A model as its layers take it. */
export interface ModelPlan {
  readonly input: Size;
  readonly layers: readonly LayerPlan[];
  readonly classes: number;
  readonly loss: LossKind;
}

const width = uint(1, LIMITS.layerWidthMax);
const classes = uint(2, LIMITS.classesMax);
const forms = tagged<ModelDescription>({
  softmax: object({ kind: oneOf("softmax"), inputs: width, classes }),
  mlp: object({ kind: oneOf("mlp"), inputs: width, hidden: list(width, 1, LIMITS.hiddenLayersMax), classes }),
  sequential: object({
    kind: oneOf("sequential"),
    input: list(width, 1, 3),
    layers: list(layerShape, 1, LIMITS.layersMax),
    loss: lossShape,
  }),
});

/** Of every kind; it holds that the layers fit together, and the limits on parameters and activations. */
export const modelShape: Shape<ModelDescription> = {
  ...forms,
  read: (value, path) => {
    const description = forms.read(value, path);
    const plan = planModel(description, path);
    const floats = floatsPerExample(plan);
    if (floats > LIMITS.activationsMax) {
      refuse(path, `at most ${LIMITS.activationsMax} floats for an example, got ${floats}`);
    }
    const count = parameterCount(description);
    if (count > LIMITS.parametersMax) refuse(path, `at most ${LIMITS.parametersMax} parameters, got ${count}`);
    return description;
  },
};

function refuse(path: string, expected: string): never {
  throw new QflareError("message.malformed", `${path}: expected ${expected}`);
}

/** Throws message.malformed where the layers do not fit together; path: of the description, for messages. */
export function planModel(description: ModelDescription, path = "model"): ModelPlan {
  const input = inputSize(description, path);
  const layers: LayerPlan[] = [];
  let size = input;
  for (const [i, layer] of layersOf(description).entries()) {
    const plan = planLayer(layer, size, `${path}.layers[${i}]`);
    layers.push(plan);
    size = plan.output;
  }
  const loss = description.kind === "sequential" ? description.loss : "cross-entropy";
  if (layersOf(description).at(-1)!.kind !== "dense") refuse(`${path}.layers`, "a dense layer at the end");
  classes.read(size.channels, `${path}.layers: outputs of the last layer`);
  return { input, layers, classes: size.channels, loss };
}

function inputSize(description: ModelDescription, path: string): Size {
  if (description.kind !== "sequential") return flat(description.inputs);
  const [channels, height, width] = description.input;
  if (height === undefined) return flat(channels);
  const isImage = width !== undefined && Math.max(height, width) <= LIMITS.imageSideMax;
  if (!isImage) refuse(`${path}.input`, `features, or channels and two sides of at most ${LIMITS.imageSideMax}`);
  return { channels, height, width };
}

/** The layers that a short description stands for. */
export function layersOf(description: ModelDescription): readonly LayerDescription[] {
  if (description.kind === "sequential") return description.layers;
  const hidden = description.kind === "mlp" ? description.hidden : [];
  const layers = hidden.flatMap((outputs): LayerDescription[] => [{ kind: "dense", outputs }, { kind: "relu" }]);
  return [...layers, { kind: "dense", outputs: description.classes }];
}

/** Inputs, activations, their gradients and what layers keep, for an example. */
export function floatsPerExample({ input, layers }: ModelPlan): number {
  const own = layers.map((layer) => (layer.isInPlace ? 0 : 2 * lengthOf(layer.output)) + sum(layer.scratch(1)));
  return (isFlat(input) ? 2 : 3) * lengthOf(input) + sum(own);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Parameters of every layer, in order. */
function planParameters(description: ModelDescription): { name: string; parameter: ParameterPlan }[] {
  return planModel(description).layers.flatMap((layer, i) =>
    layer.parameters.map((parameter) => ({ name: `${i}.${parameter.name}`, parameter })),
  );
}

/** Tensors in order, without gaps. Names and shapes are those of torch.nn.Sequential over the same layers. */
export function parameterLayout(description: ModelDescription): TensorPlace[] {
  let offset = 0;
  return planParameters(description).map(({ name, parameter: { shape } }) => {
    const length = shape.reduce((a, b) => a * b);
    const place = { name, shape, offset, length };
    offset += length;
    return place;
  });
}

export function parameterCount(description: ModelDescription): number {
  return parameterLayout(description).reduce((count, place) => count + place.length, 0);
}

/**
 * Weights are uniform in +-sqrt(6 / inputs) before a ReLU (He et al., ICCV 2015) and +-sqrt(3 / inputs) in the last
 * layer; biases are zero, scales of normalisation one. The same seed gives the same bytes.
 */
export function initialParameters(description: ModelDescription, seed: number): Float32Array<ArrayBuffer> {
  const random = new PseudoRandom(seed, "initial parameters");
  const plans = planParameters(description);
  const last = plans.findLast(({ parameter }) => "fanIn" in parameter.initial);
  const layout = parameterLayout(description);
  const parameters = new Float32Array(parameterCount(description));
  for (const [i, plan] of plans.entries()) {
    const { offset, length } = layout[i];
    const own = parameters.subarray(offset, offset + length);
    const { initial } = plan.parameter;
    if ("value" in initial) own.fill(initial.value);
    else fillUniform(own, Math.sqrt((plan === last ? 3 : 6) / initial.fanIn), random);
  }
  return parameters;
}

function fillUniform(values: Float32Array, bound: number, random: PseudoRandom): void {
  for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1);
}

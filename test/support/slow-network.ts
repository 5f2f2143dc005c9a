// The slow twin of every layer and loss, one example after the other in double precision, from parameters in the
// model's own layout: activations are channels first, nothing is packed, padded or done in place.

import type { Dataset } from "../../src/learning/dataset.ts";
import type { LayerDescription } from "../../src/learning/layers/table.ts";
import { layersOf, type ModelDescription, parameterLayout, planModel } from "../../src/learning/model.ts";
import type { PseudoRandom } from "../../src/math/random.ts";

interface Image {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly values: Float64Array;
}

type Tensors = readonly Float64Array[];
type Of<K extends LayerDescription["kind"]> = Extract<LayerDescription, { kind: K }>;

const NORM_EPSILON = 1e-5;

/** Mean loss over the data set. dropout: makes the random stream of one pass over all its examples. */
export function slowLoss(
  description: ModelDescription,
  parameters: Float64Array,
  dataset: Dataset,
  dropout?: () => PseudoRandom,
): number {
  const layers = layersOf(description);
  const plan = planModel(description);
  const places = parameterLayout(description);
  const random = dropout?.();
  let loss = 0;
  for (let row = 0; row < dataset.count; row++) {
    const values = Float64Array.from(dataset.features.subarray(row * dataset.inputs, (row + 1) * dataset.inputs));
    let image: Image = { ...plan.input, values };
    for (const [i, layer] of layers.entries()) {
      const own = places.filter((place) => place.name.startsWith(`${i}.`));
      const tensors = own.map(({ offset, length }) => parameters.subarray(offset, offset + length));
      image = forward(layer, image, tensors, random);
    }
    loss += lossOf(plan.loss, image.values, dataset.labels[row]);
  }
  return loss / dataset.count;
}

/** dL/dp of each parameter by central differences. */
export function slowGradient(loss: (parameters: Float64Array) => number, parameters: Float64Array): Float64Array {
  const step = 1e-6;
  return parameters.map((value, i) => {
    const up = loss(parameters.with(i, value + step));
    return (up - loss(parameters.with(i, value - step))) / (2 * step);
  });
}

function lossOf(kind: string, outputs: Float64Array, label: number): number {
  if (kind === "mse") {
    return outputs.reduce((sum, output, j) => sum + (output - Number(j === label)) ** 2, 0) / outputs.length;
  }
  return Math.log(outputs.reduce((sum, value) => sum + Math.exp(value), 0)) - outputs[label];
}

function forward(layer: LayerDescription, x: Image, tensors: Tensors, random: PseudoRandom | undefined): Image {
  switch (layer.kind) {
    case "dense":
      return dense(layer, x, tensors);
    case "conv2d":
      return convolution(layer, x, tensors);
    case "max-pool":
      return pooling(layer, x, (window) => Math.max(...window));
    case "avg-pool":
      return pooling(layer, x, (window) => window.reduce((a, b) => a + b) / window.length);
    case "layer-norm":
      return norm(x, 1, (channel, place) => channel * x.height * x.width + place, tensors);
    case "group-norm":
      return norm(x, layer.groups, (channel) => channel, tensors);
    case "relu":
      return { ...x, values: x.values.map((value) => Math.max(value, 0)) };
    case "gelu":
      return { ...x, values: x.values.map((value) => (value * (1 + erf(value / Math.SQRT2))) / 2) };
    case "dropout":
      return dropped(layer, x, random);
    case "flatten":
      return { channels: x.values.length, height: 1, width: 1, values: x.values };
  }
}

function dense({ outputs }: Of<"dense">, { values }: Image, [weight, bias]: Tensors): Image {
  const y = Float64Array.from({ length: outputs }, (_, o) =>
    values.reduce((sum, value, i) => sum + value * weight[o * values.length + i], bias[o]),
  );
  return { channels: outputs, height: 1, width: 1, values: y };
}

function convolution(layer: Of<"conv2d">, x: Image, [weight, bias]: Tensors): Image {
  const { kernel, stride, padding } = layer;
  const size = (side: number): number => Math.floor((side + 2 * padding - kernel) / stride) + 1;
  const at = (channel: number, i: number, j: number): number =>
    i < 0 || j < 0 || i >= x.height || j >= x.width ? 0 : x.values[(channel * x.height + i) * x.width + j];
  return build(layer.channels, size(x.height), size(x.width), (output, i, j) => {
    let sum = bias[output];
    for (let c = 0; c < x.channels; c++) {
      for (let a = 0; a < kernel; a++) {
        for (let b = 0; b < kernel; b++) {
          const w = weight[((output * x.channels + c) * kernel + a) * kernel + b];
          sum += w * at(c, i * stride - padding + a, j * stride - padding + b);
        }
      }
    }
    return sum;
  });
}

function pooling(
  { size, stride }: { size: number; stride: number },
  x: Image,
  of: (window: number[]) => number,
): Image {
  const length = (side: number): number => Math.floor((side - size) / stride) + 1;
  return build(x.channels, length(x.height), length(x.width), (c, i, j) => {
    const window: number[] = [];
    for (let a = 0; a < size; a++) {
      const row = (c * x.height + i * stride + a) * x.width + j * stride;
      window.push(...x.values.subarray(row, row + size));
    }
    return of(window);
  });
}

function norm(x: Image, groups: number, affine: (channel: number, place: number) => number, tensors: Tensors): Image {
  const [scale, shift] = tensors;
  const length = x.values.length / groups;
  const positions = x.height * x.width;
  const values = new Float64Array(x.values.length);
  for (let g = 0; g < groups; g++) {
    const group = x.values.subarray(g * length, (g + 1) * length);
    const mean = group.reduce((a, b) => a + b) / length;
    const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
    for (const [i, value] of group.entries()) {
      const place = g * length + i;
      const own = affine(Math.floor(place / positions), place % positions);
      values[place] = ((value - mean) / Math.sqrt(variance + NORM_EPSILON)) * scale[own] + shift[own];
    }
  }
  return { ...x, values };
}

/** Only of flat activations is the order of random values the twin's. */
function dropped({ rate }: Of<"dropout">, x: Image, random: PseudoRandom | undefined): Image {
  if (random === undefined) return x;
  const limit = Math.round(rate * 2 ** 32);
  const kept = 1 / (1 - limit / 2 ** 32);
  return { ...x, values: x.values.map((value) => (random.uint32() < limit ? 0 : value * kept)) };
}

function build(
  channels: number,
  height: number,
  width: number,
  of: (c: number, i: number, j: number) => number,
): Image {
  const values = new Float64Array(channels * height * width);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) values[(c * height + i) * width + j] = of(c, i, j);
    }
  }
  return { channels, height, width, values };
}

/** Its power series: exact to 1e-12 for |x| < 4. */
export function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 100; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

// A network in kernel memory: parameters, gradient and activations of one model, used by one caller at a time. Many
// simulated devices of the same model share one, because it keeps nothing from one call to the next.

import { Gemm } from "../math/gemm.ts";
import { type Dataset, gatherRows } from "./dataset.ts";
import { type DenseLayer, denseBackward, denseBackwardInput, denseForward, softmaxCrossEntropy } from "./layers.ts";
import { layerWidths, type ModelDescription, parameterCount, parameterLayout } from "./model.ts";

type Region = "parameters" | "gradient" | "velocity" | "anchor" | "activations" | "backward";

const ROWS_MAX = 256;
const ACTIVATIONS_MAX = 2 ** 24; // elements, 64 MiB: bounds the rows of very wide models

export class Network {
  readonly description: ModelDescription;
  readonly gemm: Gemm<Region>;
  /** Examples that one pass takes; a larger batch is passed in pieces that add to the same gradient. */
  readonly rowsMax: number;
  readonly #layers: readonly DenseLayer[];
  /** The input of every layer, and the logits: rowsMax x width each. */
  readonly #activations: readonly Float32Array[];
  /** dL/d of the same. */
  readonly #backward: readonly Float32Array[];
  readonly #labels: Int32Array;

  constructor(description: ModelDescription, build?: "relaxed" | "plain") {
    const count = parameterCount(description);
    const widths = layerWidths(description);
    const width = widths.reduce((a, b) => a + b);
    this.description = description;
    this.rowsMax = Math.max(1, Math.min(ROWS_MAX, Math.floor(ACTIVATIONS_MAX / width)));
    const vectors = { parameters: count, gradient: count, velocity: count, anchor: count };
    const activations = this.rowsMax * width;
    this.gemm = new Gemm({ ...vectors, activations, backward: activations }, build);
    const { regions } = this.gemm;
    this.#layers = denseLayers(description, regions.parameters, regions.gradient);
    this.#activations = split(regions.activations, this.rowsMax, widths);
    this.#backward = split(regions.backward, this.rowsMax, widths);
    this.#labels = new Int32Array(this.rowsMax);
  }

  /** Throws RangeError where the data set does not have the inputs and classes of the model. */
  checkFit(dataset: Dataset): void {
    const { inputs, classes } = this.description;
    if (dataset.inputs === inputs && dataset.classes <= classes && dataset.count > 0) return;
    throw new RangeError(
      `Cannot use data set: expected examples of ${inputs} inputs and at most ${classes} classes, ` +
        `got ${dataset.count} of ${dataset.inputs} and ${dataset.classes}`,
    );
  }

  /** The parameters become a copy of the given ones. */
  load(parameters: Float32Array): void {
    const own = this.gemm.regions.parameters;
    if (parameters.length !== own.length) {
      throw new RangeError(`Cannot load parameters: expected ${own.length}, got ${parameters.length}`);
    }
    own.set(parameters);
  }

  /** Logits (rows x classes) of the examples at rows, valid until the next call. */
  forward(dataset: Dataset, rows: Int32Array): Float32Array {
    gatherRows(dataset, rows, this.#activations[0], this.#labels);
    const last = this.#layers.length - 1;
    for (let i = 0; i <= last; i++) {
      const y = this.#activations[i + 1];
      denseForward(this.gemm, this.#layers[i], rows.length, this.#activations[i], y);
      if (i < last) this.gemm.relu(rows.length * this.#layers[i].outputs, y);
    }
    return this.#activations[last + 1];
  }

  /** The loss of the last forward pass, summed over its rows, in nats. */
  loss(rows: number): number {
    return softmaxCrossEntropy(rows, this.description.classes, this.#activations.at(-1)!, this.#labels, 1, undefined);
  }

  /** Adds factor times the gradient of the last forward pass's summed loss to the gradient; returns that loss. */
  backward(rows: number, factor: number): number {
    const last = this.#layers.length - 1;
    const logits = this.#activations[last + 1];
    const dLogits = this.#backward[last + 1];
    const loss = softmaxCrossEntropy(rows, this.description.classes, logits, this.#labels, factor, dLogits);
    for (let i = last; i >= 0; i--) {
      const dy = this.#backward[i + 1];
      const x = this.#activations[i];
      denseBackward(this.gemm, this.#layers[i], rows, x, dy);
      if (i === 0) break;
      denseBackwardInput(this.gemm, this.#layers[i], rows, dy, this.#backward[i]);
      this.gemm.reluBackward(rows * this.#layers[i].inputs, x, this.#backward[i]);
    }
    return loss;
  }
}

function denseLayers(description: ModelDescription, parameters: Float32Array, gradient: Float32Array): DenseLayer[] {
  const places = parameterLayout(description);
  const layers: DenseLayer[] = [];
  for (let i = 0; i < places.length; i += 2) {
    const [weight, bias] = [places[i], places[i + 1]];
    const view = (of: Float32Array, place = weight) => of.subarray(place.offset, place.offset + place.length);
    layers.push({
      inputs: weight.shape[1],
      outputs: weight.shape[0],
      weight: view(parameters),
      bias: view(parameters, bias),
      weightGradient: view(gradient),
      biasGradient: view(gradient, bias),
    });
  }
  return layers;
}

function split(region: Float32Array, rows: number, widths: readonly number[]): Float32Array[] {
  let offset = 0;
  return widths.map((width) => {
    const start = offset;
    offset += rows * width;
    return region.subarray(start, offset);
  });
}

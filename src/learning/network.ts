// A network in kernel memory: parameters, gradient and activations of one model, used by one caller at a time. Many
// simulated devices of the same model share one, because it keeps nothing from one call to the next.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { PseudoRandom } from "../math/random.ts";
import { type Build, cut, regionLength, Workspace } from "../math/workspace.ts";
import { type Dataset, gatherRows } from "./dataset.ts";
import { isFlat, type Layer, lengthOf } from "./layers/layer.ts";
import { LOSSES } from "./loss.ts";
import {
  floatsPerExample,
  type ModelDescription,
  type ModelPlan,
  parameterCount,
  parameterLayout,
  planModel,
} from "./model.ts";

type Region = "parameters" | "gradient" | "velocity" | "second" | "anchor" | "activations" | "backward" | "scratch";

const ROWS_MAX = 256;
const FLOATS_MAX = LIMITS.activationsMax; // for a whole pass: bounds the rows of very wide models

export class Network {
  readonly description: ModelDescription;
  readonly workspace: Workspace<Region>;
  /** Examples that one pass takes; a larger batch is passed in pieces that add to the same gradient. */
  readonly rowsMax: number;
  readonly #plan: ModelPlan;
  readonly #layers: readonly Layer[];
  /** The first layer with parameters: nothing before it needs a gradient. */
  readonly #firstTrained: number;
  /** rows x channels x features of the input, as data sets have them; the first activations where that is the same. */
  readonly #features: Float32Array;
  readonly #input: Float32Array;
  readonly #outputs: Float32Array;
  readonly #outputsGradient: Float32Array;
  readonly #labels: Int32Array;

  constructor(description: ModelDescription, build?: Build) {
    const plan = planModel(description);
    const count = parameterCount(description);
    this.description = description;
    this.#plan = plan;
    this.rowsMax = Math.max(1, Math.min(ROWS_MAX, Math.floor(FLOATS_MAX / floatsPerExample(plan))));
    const widths = [
      lengthOf(plan.input),
      ...plan.layers.map(({ output, isInPlace }) => (isInPlace ? 0 : lengthOf(output))),
    ];
    const lengths = widths.map((width) => this.rowsMax * width);
    const scratch = plan.layers.map((layer) => layer.scratch(this.rowsMax));
    const features = isFlat(plan.input) ? 0 : this.rowsMax * lengthOf(plan.input);
    const vectors = { parameters: count, gradient: count, velocity: count, second: count, anchor: count };
    this.workspace = new Workspace(
      {
        ...vectors,
        activations: regionLength(lengths),
        backward: regionLength(lengths),
        scratch: regionLength([...scratch.flat(), features]),
      },
      build,
    );
    const { regions } = this.workspace;
    const activations = cut(regions.activations, lengths);
    const gradients = cut(regions.backward, lengths);
    const kept = cut(regions.scratch, [...scratch.flat(), features]);
    this.#layers = this.#startLayers(activations, gradients, kept);
    this.#firstTrained = plan.layers.findIndex(({ parameters }) => parameters.length > 0);
    this.#input = activations[0];
    this.#features = isFlat(plan.input) ? this.#input : kept.at(-1)!;
    this.#outputs = activations.at(-1)!;
    this.#outputsGradient = gradients.at(-1)!;
    this.#labels = new Int32Array(this.rowsMax);
  }

  #startLayers(activations: Float32Array[], gradients: Float32Array[], kept: Float32Array[]): Layer[] {
    const { parameters, gradient } = this.workspace.regions;
    const places = parameterLayout(this.description);
    const views = (of: Float32Array, count: number): Float32Array[] =>
      places.slice(0, count).map(({ offset, length }) => of.subarray(offset, offset + length));
    let [x, dx] = [activations[0], gradients[0]];
    return this.#plan.layers.map((plan, i) => {
      const [y, dy] = plan.isInPlace ? [x, dx] : [activations[i + 1], gradients[i + 1]];
      const count = plan.parameters.length;
      const layer = plan.start({
        ...{ workspace: this.workspace, x, y, dx, dy },
        parameters: views(parameters, count),
        gradients: views(gradient, count),
        scratch: kept.splice(0, plan.scratch(this.rowsMax).length),
      });
      places.splice(0, count);
      [x, dx] = [y, dy];
      return layer;
    });
  }

  get classes(): number {
    return this.#plan.classes;
  }

  /** Throws data.unfit where the data set does not have the inputs and classes of the model, which is not ours. */
  checkFit(dataset: Dataset): void {
    const inputs = lengthOf(this.#plan.input);
    if (dataset.inputs === inputs && dataset.classes <= this.classes && dataset.count > 0) return;
    throw new QflareError(
      "data.unfit",
      `expected examples of ${inputs} inputs and at most ${this.classes} classes, ` +
        `got ${dataset.count} of ${dataset.inputs} and ${dataset.classes}`,
    );
  }

  /** The parameters become a copy of the given ones. */
  load(parameters: Float32Array): void {
    const own = this.workspace.regions.parameters;
    if (parameters.length !== own.length) {
      throw new RangeError(`Cannot load parameters: expected ${own.length}, got ${parameters.length}`);
    }
    own.set(parameters);
  }

  /** Outputs (rows x classes) of the examples at rows, valid until the next call. dropout: in training alone. */
  forward(dataset: Dataset, rows: Int32Array, dropout?: PseudoRandom): Float32Array {
    gatherRows(dataset, rows, this.#features, this.#labels);
    this.#arrangeInput(rows.length);
    for (const layer of this.#layers) layer.forward(rows.length, dropout);
    return this.#outputs;
  }

  /** Data sets have images channel after channel; layers want the channels of a pixel together. */
  #arrangeInput(rows: number): void {
    if (this.#features === this.#input) return;
    const { channels, height, width } = this.#plan.input;
    const length = lengthOf(this.#plan.input);
    const from = this.workspace.reach(this.#features, rows * length);
    const to = this.workspace.reach(this.#input, rows * length);
    for (let i = 0; i < rows; i++) {
      this.workspace.run.transpose(channels, height * width, from + 4 * i * length, to + 4 * i * length);
    }
  }

  /** The loss of the last forward pass, summed over its rows. */
  loss(rows: number): number {
    return LOSSES[this.#plan.loss](rows, this.classes, this.#outputs, this.#labels, 1, undefined);
  }

  /** Adds factor times the gradient of the last forward pass's summed loss to the gradient; returns that loss. */
  backward(rows: number, factor: number): number {
    const lossOf = LOSSES[this.#plan.loss];
    const loss = lossOf(rows, this.classes, this.#outputs, this.#labels, factor, this.#outputsGradient);
    for (let i = this.#layers.length - 1; i >= this.#firstTrained; i--) {
      this.#layers[i].backward(rows, i > this.#firstTrained);
    }
    return loss;
  }
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDataset, type Dataset } from "../../../src/learning/dataset.ts";
import { LAYER_KINDS } from "../../../src/learning/layers/table.ts";
import {
  initialParameters,
  layersOf,
  type ModelDescription,
  modelShape,
  parameterCount,
  planModel,
} from "../../../src/learning/model.ts";
import { Network } from "../../../src/learning/network.ts";
import { addGradient } from "../../../src/learning/trainer.ts";
import { PseudoRandom } from "../../../src/math/random.ts";
import { slowGradient, slowLoss } from "../../support/slow-network.ts";

type Sequential = Extract<ModelDescription, { kind: "sequential" }>;

/** Of three classes, told apart by a dense layer behind these. */
function classifier(input: Sequential["input"], layers: Sequential["layers"]): Sequential {
  return { kind: "sequential", input, layers: [...layers, { kind: "dense", outputs: 3 }], loss: "cross-entropy" };
}

// Sides, strides and channels that fill neither tiles (6 positions, 8 channels) nor vectors (4), and some that do.
const MODELS: Readonly<Record<string, ModelDescription>> = {
  "softmax regression": { kind: "softmax", inputs: 7, classes: 3 },
  "an MLP of one hidden layer": { kind: "mlp", inputs: 7, hidden: [5], classes: 3 },
  "an MLP of two": { kind: "mlp", inputs: 5, hidden: [9, 6], classes: 4 },
  "a padded convolution, ReLU in place and maximum pooling": classifier(
    [1, 6, 6],
    [
      { kind: "conv2d", channels: 8, kernel: 3, stride: 1, padding: 1 },
      { kind: "relu" },
      { kind: "max-pool", size: 2, stride: 2 },
      { kind: "flatten" },
    ],
  ),
  "convolutions with strides over three channels, mean pooling, GELU and squared error": {
    ...classifier(
      [3, 7, 6],
      [
        { kind: "conv2d", channels: 5, kernel: 3, stride: 2, padding: 2 },
        { kind: "gelu" },
        { kind: "conv2d", channels: 9, kernel: 2, stride: 1, padding: 0 },
        { kind: "avg-pool", size: 2, stride: 1 },
        { kind: "flatten" },
      ],
    ),
    loss: "mse",
  },
  "overlapping windows behind and before normalisation of groups": classifier(
    [2, 7, 7],
    [
      { kind: "conv2d", channels: 6, kernel: 3, stride: 1, padding: 1 },
      { kind: "group-norm", groups: 3 },
      { kind: "max-pool", size: 3, stride: 2 },
      { kind: "relu" },
      { kind: "group-norm", groups: 1 },
      { kind: "flatten" },
    ],
  ),
  "normalisation over the features of images and of rows, and dropout": classifier(
    [3, 4, 5],
    [
      { kind: "layer-norm" },
      { kind: "conv2d", channels: 4, kernel: 4, stride: 3, padding: 1 },
      { kind: "layer-norm" },
      { kind: "flatten" },
      { kind: "dense", outputs: 10 },
      { kind: "layer-norm" },
      { kind: "dropout", rate: 0.4 },
      { kind: "relu" },
    ],
  ),
};

function randomDataset(count: number, description: ModelDescription): Dataset {
  const { input, classes } = planModel(description);
  const random = new PseudoRandom(1, "dataset");
  const features = Float32Array.from({ length: count * input.channels * input.height * input.width }, () =>
    random.gaussian(),
  );
  return createDataset(
    features,
    Int32Array.from({ length: count }, () => random.below(classes)),
    classes,
  );
}

/** Not the initial ones alone: biases and scales of their own. */
function shiftedParameters(description: ModelDescription): Float32Array<ArrayBuffer> {
  const random = new PseudoRandom(2, "biases");
  return initialParameters(description, 3).map((value) => value + 0.1 * random.gaussian());
}

function rowsOf(dataset: Dataset): Int32Array {
  return Int32Array.from({ length: dataset.count }, (_, i) => i);
}

describe("network", () => {
  it("is checked here with every kind of layer", () => {
    const seen = new Set(Object.values(MODELS).flatMap((model) => layersOf(model).map((layer) => layer.kind)));
    assert.deepEqual([...seen].sort(), [...LAYER_KINDS].sort());
  });

  for (const [name, description] of Object.entries(MODELS)) {
    it(`of ${name} has the loss and the gradient of its slow twin`, () => {
      assert.deepEqual(modelShape.read(description, "model"), description);
      const dataset = randomDataset(5, description);
      const parameters = shiftedParameters(description);
      const exact = Float64Array.from(parameters);
      const dropout = (): PseudoRandom => new PseudoRandom(4, "dropout");
      const expectedLoss = slowLoss(description, exact, dataset, dropout);
      const expected = slowGradient((p) => slowLoss(description, p, dataset, dropout), exact);
      for (const build of ["plain", "relaxed"] as const) {
        const network = new Network(description, build);
        network.load(parameters);
        const loss = addGradient(network, dataset, rowsOf(dataset), dropout()) / dataset.count;
        assert.ok(Math.abs(loss - expectedLoss) < 1e-5, `${build} build: expected loss ${expectedLoss}, got ${loss}`);
        for (const [i, actual] of network.workspace.regions.gradient.entries()) {
          const text = `${build} build, parameter ${i}: expected ${expected[i]}, got ${actual}`;
          assert.ok(Math.abs(actual - expected[i]) < 2e-5, text);
        }
      }
    });

    it(`of ${name} gives the same bytes whatever it computed before`, () => {
      const [dataset, other] = [randomDataset(6, description), randomDataset(11, description)];
      const network = new Network(description);
      const gradientOf = (of: Network): Float32Array => {
        of.workspace.regions.gradient.fill(0);
        of.load(shiftedParameters(description));
        addGradient(of, dataset, rowsOf(dataset), new PseudoRandom(1, "dropout"));
        return of.workspace.regions.gradient.slice();
      };
      const first = gradientOf(network);
      network.load(initialParameters(description, 9));
      addGradient(network, other, rowsOf(other));
      assert.deepEqual(gradientOf(network), first);
      assert.deepEqual(gradientOf(new Network(description)), first);
    });
  }

  it("drops nothing out of an evaluation", () => {
    const description = Object.values(MODELS).at(-1)!;
    const dataset = randomDataset(4, description);
    const parameters = shiftedParameters(description);
    const network = new Network(description);
    network.load(parameters);
    network.forward(dataset, rowsOf(dataset));
    const expected = slowLoss(description, Float64Array.from(parameters), dataset);
    assert.ok(Math.abs(network.loss(4) / 4 - expected) < 1e-5);
  });

  it("gives a batch larger than a pass the gradient of the whole batch", () => {
    const description: ModelDescription = { kind: "mlp", inputs: 3, hidden: [4], classes: 3 };
    const dataset = randomDataset(600, description);
    const network = new Network(description);
    const { gradient } = network.workspace.regions;
    network.load(initialParameters(description, 1));
    const rows = rowsOf(dataset);
    addGradient(network, dataset, rows);
    const whole = gradient.slice();
    gradient.fill(0);
    const sum = new Float64Array(parameterCount(description));
    for (let i = 0; i < 600; i++) {
      addGradient(network, dataset, rows.subarray(i, i + 1));
      for (let j = 0; j < sum.length; j++) sum[j] += gradient[j] / 600;
      gradient.fill(0);
    }
    for (let j = 0; j < sum.length; j++) assert.ok(Math.abs(whole[j] - sum[j]) < 1e-6);
  });

  it("refuses parameters and data of another model", () => {
    const network = new Network({ kind: "softmax", inputs: 4, classes: 3 });
    assert.throws(() => network.load(new Float32Array(14)), RangeError);
    for (const [inputs, classes] of [
      [3, 3],
      [4, 4],
    ]) {
      const other = randomDataset(5, { kind: "softmax", inputs, classes });
      assert.throws(() => network.checkFit(other), { code: "data.unfit" });
    }
  });
});

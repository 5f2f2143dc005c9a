import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDataset, type Dataset } from "../../../src/learning/dataset.ts";
import { initialParameters, type ModelDescription, parameterCount } from "../../../src/learning/model.ts";
import { Network } from "../../../src/learning/network.ts";
import { addGradient } from "../../../src/learning/trainer.ts";
import { PseudoRandom } from "../../../src/math/random.ts";

const MODELS: readonly ModelDescription[] = [
  { kind: "softmax", inputs: 7, classes: 3 },
  { kind: "mlp", inputs: 7, hidden: [5], classes: 3 },
  { kind: "mlp", inputs: 5, hidden: [9, 6], classes: 4 },
];

function randomDataset(count: number, inputs: number, classes: number): Dataset {
  const random = new PseudoRandom(1, "dataset");
  const features = Float32Array.from({ length: count * inputs }, () => random.gaussian());
  return createDataset(
    features,
    Int32Array.from({ length: count }, () => random.below(classes)),
    classes,
  );
}

/** The slow twin in double precision: mean loss of the model over the data set. */
function slowLoss(description: ModelDescription, parameters: Float64Array, dataset: Dataset): number {
  const hidden = description.kind === "mlp" ? description.hidden : [];
  const widths = [...hidden, description.classes];
  let loss = 0;
  for (let row = 0; row < dataset.count; row++) {
    let x = [...dataset.features.subarray(row * dataset.inputs, (row + 1) * dataset.inputs)];
    let offset = 0;
    for (const [i, width] of widths.entries()) {
      const biases = offset + width * x.length;
      const input = x;
      x = Array.from({ length: width }, (_, o) =>
        input.reduce(
          (sum, value, j) => sum + value * parameters[offset + o * input.length + j],
          parameters[biases + o],
        ),
      );
      if (i < widths.length - 1) x = x.map((value) => Math.max(value, 0));
      offset = biases + width;
    }
    loss += Math.log(x.reduce((sum, value) => sum + Math.exp(value), 0)) - x[dataset.labels[row]];
  }
  return loss / dataset.count;
}

describe("network", () => {
  for (const description of MODELS) {
    it(`of ${JSON.stringify(description)} has the loss and the gradient of its slow twin`, () => {
      const dataset = randomDataset(11, description.inputs, description.classes);
      const random = new PseudoRandom(2, "biases");
      const parameters = initialParameters(description, 3).map((value) => value + 0.1 * random.gaussian());
      const network = new Network(description);
      network.load(parameters);
      const loss = addGradient(
        network,
        dataset,
        Int32Array.from({ length: dataset.count }, (_, i) => i),
      );
      const exact = Float64Array.from(parameters);
      assert.ok(Math.abs(loss / dataset.count - slowLoss(description, exact, dataset)) < 1e-5);
      const step = 1e-6;
      for (let i = 0; i < parameters.length; i++) {
        const shifted = (by: number) => slowLoss(description, exact.with(i, exact[i] + by), dataset);
        const expected = (shifted(step) - shifted(-step)) / (2 * step);
        const actual = network.gemm.regions.gradient[i];
        assert.ok(Math.abs(actual - expected) < 1e-4, `parameter ${i}: expected ${expected}, got ${actual}`);
      }
    });
  }

  it("gives a batch larger than a pass the gradient of the whole batch", () => {
    const description: ModelDescription = { kind: "mlp", inputs: 3, hidden: [4], classes: 3 };
    const dataset = randomDataset(600, 3, 3);
    const network = new Network(description);
    network.load(initialParameters(description, 1));
    const rows = Int32Array.from({ length: 600 }, (_, i) => i);
    addGradient(network, dataset, rows);
    const whole = network.gemm.regions.gradient.slice();
    network.gemm.regions.gradient.fill(0);
    const sum = new Float64Array(parameterCount(description));
    for (let i = 0; i < 600; i++) {
      addGradient(network, dataset, rows.subarray(i, i + 1));
      for (let j = 0; j < sum.length; j++) sum[j] += network.gemm.regions.gradient[j] / 600;
      network.gemm.regions.gradient.fill(0);
    }
    for (let j = 0; j < sum.length; j++) assert.ok(Math.abs(whole[j] - sum[j]) < 1e-6);
  });

  it("refuses parameters and data of another model", () => {
    const network = new Network({ kind: "softmax", inputs: 4, classes: 3 });
    assert.throws(() => network.load(new Float32Array(14)), RangeError);
    assert.throws(() => network.checkFit(randomDataset(5, 3, 3)), RangeError);
    assert.throws(() => network.checkFit(randomDataset(5, 4, 4)), RangeError);
  });
});

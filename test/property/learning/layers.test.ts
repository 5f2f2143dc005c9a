import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createDataset } from "../../../src/learning/dataset.ts";
import type { LayerDescription } from "../../../src/learning/layers/table.ts";
import { initialParameters, type ModelDescription, modelShape, planModel } from "../../../src/learning/model.ts";
import { Network } from "../../../src/learning/network.ts";
import { addGradient } from "../../../src/learning/trainer.ts";
import { PseudoRandom } from "../../../src/math/random.ts";
import { slowLoss } from "../../support/slow-network.ts";

// A fixed seed: a difference taken across a kink of ReLU or of a maximum is rare, but would fail for nothing.
const RUNS = { seed: 7, numRuns: 80 };
const EXAMPLES = 2;

const side = fc.integer({ min: 4, max: 7 });
const window = { size: fc.integer({ min: 1, max: 3 }), stride: fc.integer({ min: 1, max: 3 }) };
const convolution = fc
  .record({ channels: fc.integer({ min: 1, max: 10 }), kernel: fc.integer({ min: 1, max: 4 }), ...window })
  .chain(({ channels, kernel, stride }) =>
    fc.integer({ min: 0, max: kernel - 1 }).map((padding): LayerDescription => {
      return { kind: "conv2d", channels, kernel, stride, padding };
    }),
  );
const layer: fc.Arbitrary<LayerDescription> = fc.oneof(
  { arbitrary: convolution, weight: 4 },
  fc
    .record({ kind: fc.constantFrom("max-pool" as const, "avg-pool" as const), ...window })
    .map((pool): LayerDescription => ({ ...pool })),
  fc.constantFrom<LayerDescription>({ kind: "relu" }, { kind: "gelu" }, { kind: "layer-norm" }),
  fc.constant<LayerDescription>({ kind: "group-norm", groups: 1 }),
);
const models: fc.Arbitrary<ModelDescription> = fc
  .record({
    input: fc.tuple(fc.integer({ min: 1, max: 3 }), side, side),
    layers: fc.array(layer, { minLength: 1, maxLength: 3 }),
    loss: fc.constantFrom("cross-entropy" as const, "mse" as const),
  })
  .map(({ input, layers, loss }): ModelDescription => {
    const end: LayerDescription[] = [{ kind: "flatten" }, { kind: "dense", outputs: 3 }];
    return { kind: "sequential", input, layers: [...layers, ...end], loss };
  })
  .filter(fits);

/** A window may be too large for what the layers before it left. */
function fits(description: ModelDescription): boolean {
  try {
    planModel(description);
    return true;
  } catch {
    return false;
  }
}

function gaussians(count: number, label: string): Float32Array<ArrayBuffer> {
  const random = new PseudoRandom(1, label);
  return new Float32Array(count).map(() => random.gaussian());
}

describe("layers in any order", () => {
  it("give the loss of their slow twin, and its slope along any direction", () => {
    fc.assert(
      fc.property(models, (description) => {
        assert.deepEqual(modelShape.read(description, "model"), description);
        const { channels, height, width } = planModel(description).input;
        const features = gaussians(EXAMPLES * channels * height * width, "features");
        const dataset = createDataset(features, Int32Array.of(0, 2), 3);
        const network = new Network(description);
        const parameters = initialParameters(description, 1).map((value) => value + 0.05);
        network.load(parameters);
        const loss = addGradient(network, dataset, Int32Array.of(0, 1)) / EXAMPLES;
        const lossAt = (p: Float64Array): number => slowLoss(description, p, dataset);
        const exact = Float64Array.from(parameters);
        const expected = lossAt(exact);
        assert.ok(Math.abs(loss - expected) < 1e-4 * (1 + expected), `loss: expected ${expected}, got ${loss}`);
        const direction = gaussians(parameters.length, "direction");
        const step = 1e-6;
        const along = (by: number): number => lossAt(exact.map((value, i) => value + by * direction[i]));
        const slope = (along(step) - along(-step)) / (2 * step);
        const actual = network.workspace.regions.gradient.reduce((sum, value, i) => sum + value * direction[i], 0);
        const size = Math.sqrt(network.workspace.regions.gradient.reduce((sum, value) => sum + value * value, 0));
        assert.ok(Math.abs(actual - slope) < 1e-3 * (1 + size), `slope: expected ${slope}, got ${actual}`);
      }),
      RUNS,
    );
  });
});

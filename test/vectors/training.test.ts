// Layers, losses and optimizers against what torch computes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { createDataset } from "../../src/learning/dataset.ts";
import { modelShape, parameterLayout } from "../../src/learning/model.ts";
import { Network } from "../../src/learning/network.ts";
import { trainingPlanShape } from "../../src/learning/plan.ts";
import { createTrainer } from "../../src/learning/trainer.ts";

interface Vector {
  readonly description: unknown;
  readonly plan: unknown;
  readonly classes: number;
  readonly names: readonly string[];
  readonly features: readonly number[];
  readonly labels: readonly number[];
  readonly parameters: readonly number[];
  readonly outputs: readonly number[];
  readonly losses: readonly number[];
  readonly trained: readonly number[];
}

const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL("data/training/torch.json", import.meta.url), "utf8"),
);

function assertClose(actual: Float32Array, expected: readonly number[], tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of actual.entries()) {
    assert.ok(Math.abs(value - expected[i]) < tolerance, `${i}: expected ${expected[i]}, got ${value}`);
  }
}

describe("training as torch does it", () => {
  it("has vectors", () => assert.equal(vectors.length, 4));

  for (const vector of vectors) {
    const description = modelShape.read(vector.description, "model");
    const plan = trainingPlanShape.read(vector.plan, "plan");
    const dataset = createDataset(Float32Array.from(vector.features), Int32Array.from(vector.labels), vector.classes);
    const parameters = Float32Array.from(vector.parameters);
    const layers = "layers" in description ? description.layers.map((layer) => layer.kind).join(", ") : "";
    for (const build of ["plain", "relaxed"] as const) {
      it(`gives its outputs, loss and parameters by ${plan.optimizer}: ${layers} (${build} build)`, async () => {
        const names = parameterLayout(description).map((place) => place.name);
        assert.deepEqual(names, vector.names);
        const network = new Network(description, build);
        network.load(parameters);
        const rows = Int32Array.from(vector.labels.keys());
        const outputs = network.forward(dataset, rows).subarray(0, rows.length * vector.classes);
        assertClose(outputs, vector.outputs, 1e-5);
        const trained = await createTrainer(network, dataset).train({ parameters, plan, seed: 1 });
        assertClose(trained.parameters, vector.trained, 3e-5);
        assert.ok(Math.abs(trained.loss - vector.losses.at(-1)!) < 1e-5);
      });
    }
  }
});

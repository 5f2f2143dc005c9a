import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { initialParameters, modelShape, parameterCount, parameterLayout } from "../../../src/learning/model.ts";

describe("model description", () => {
  it("is read for every kind, as an object or a map", () => {
    const softmax = { kind: "softmax", inputs: 4, classes: 3 };
    const mlp = { kind: "mlp", inputs: 784, hidden: [64, 32], classes: 10 };
    assert.deepEqual(modelShape.read(softmax, "model"), softmax);
    assert.deepEqual(modelShape.read(new Map(Object.entries(mlp)), "model"), mlp);
  });

  it("is refused where a member is missing, unknown or out of range", () => {
    const mlp = { kind: "mlp", inputs: 784, hidden: [64], classes: 10 };
    const changes: unknown[] = [
      null,
      [],
      "mlp",
      { ...mlp, kind: "cnn" },
      { ...mlp, kind: "softmax" },
      { ...mlp, extra: 1 },
      { ...mlp, inputs: 0 },
      { ...mlp, hidden: [] },
      { ...mlp, hidden: [0] },
      { ...mlp, hidden: new Array(17).fill(1) },
      { ...mlp, classes: 1 },
      { ...mlp, inputs: 1_000_000, hidden: [1_000_000] },
    ];
    for (const value of changes) assert.throws(() => modelShape.read(value, "model"), QflareError);
  });
});

describe("parameter layout", () => {
  it("names the tensors as a sequence of linear layers and ReLU does, without gaps", () => {
    const layout = parameterLayout({ kind: "mlp", inputs: 784, hidden: [64], classes: 10 });
    assert.deepEqual(layout, [
      { name: "0.weight", shape: [64, 784], offset: 0, length: 64 * 784 },
      { name: "0.bias", shape: [64], offset: 64 * 784, length: 64 },
      { name: "2.weight", shape: [10, 64], offset: 64 * 785, length: 640 },
      { name: "2.bias", shape: [10], offset: 64 * 785 + 640, length: 10 },
    ]);
    assert.equal(parameterCount({ kind: "mlp", inputs: 784, hidden: [64], classes: 10 }), 50_890);
  });

  it("starts the same from the same seed, with zero biases and bounded weights", () => {
    const description = { kind: "mlp", inputs: 24, hidden: [8], classes: 3 } as const;
    const parameters = initialParameters(description, 1);
    assert.deepEqual(initialParameters(description, 1), parameters);
    assert.notDeepEqual(initialParameters(description, 2), parameters);
    const bound = Math.sqrt(6 / 24);
    assert.ok(parameters.subarray(0, 8 * 24).every((value) => Math.abs(value) <= bound && value !== 0));
    assert.ok(parameters.subarray(8 * 24, 8 * 25).every((value) => value === 0));
  });
});

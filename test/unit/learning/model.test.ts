import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import {
  initialParameters,
  layersOf,
  type ModelDescription,
  modelShape,
  parameterCount,
  parameterLayout,
  planModel,
} from "../../../src/learning/model.ts";
import { parseDescription } from "../../../src/learning/model-file.ts";
import { namedModel } from "../../../src/learning/named-model.ts";

const CNN = namedModel("cnn", 784, 10)!;
const DENSE = { kind: "dense", outputs: 3 };
const sequential = (input: unknown, ...layers: unknown[]) => ({
  kind: "sequential",
  input,
  layers,
  loss: "cross-entropy",
});

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

describe("a description of layers", () => {
  it("is read with every member in its place", () => {
    assert.deepEqual(modelShape.read(structuredClone(CNN), "model"), CNN);
    const flat = sequential([5], { kind: "layer-norm" }, { kind: "gelu" }, DENSE);
    assert.deepEqual(modelShape.read(flat, "model"), flat);
    assert.deepEqual(parseDescription(JSON.stringify(flat)), flat);
  });

  const conv = { kind: "conv2d", channels: 4, kernel: 3, stride: 1, padding: 1 };
  const pool = { kind: "max-pool", size: 2, stride: 2 };
  const flatten = { kind: "flatten" };
  const REFUSED: Readonly<Record<string, readonly [unknown, RegExp]>> = {
    "no layers": [sequential([5]), /layers: expected list of 1 to 64/],
    "too many layers": [sequential([5], ...new Array(64).fill({ kind: "relu" }), DENSE), /list of 1 to 64/],
    "an unknown kind": [sequential([5], { kind: "lstm" }, DENSE), /layers\[0\]\.kind: expected "dense" or/],
    "a kind from a prototype": [sequential([5], { kind: "constructor" }), /layers\[0\]\.kind/],
    "a layer that is no map": [sequential([5], "dense"), /layers\[0\]: expected a map/],
    "an unknown member": [sequential([5], { ...DENSE, bias: false }), /layers\[0\]\.bias: expected no such member/],
    "a missing member": [sequential([5], { kind: "dropout" }, DENSE), /layers\[0\]\.rate/],
    "a rate of one": [sequential([5], { kind: "dropout", rate: 1 }, DENSE), /rate: expected number from 0 to 0\.99/],
    "another loss": [{ ...sequential([5], DENSE), loss: "hinge" }, /loss: expected "cross-entropy" or "mse"/],
    "two sides": [sequential([5, 5], DENSE), /input: expected features, or channels and two sides/],
    "a side too long": [sequential([1, 5000, 5], flatten, DENSE), /input: expected features/],
    "dense on an image": [sequential([1, 5, 5], DENSE), /layers\[0\]: expected a flat input/],
    "a kernel larger than the image": [
      sequential([1, 5, 5], { ...conv, kernel: 8 }, flatten, DENSE),
      /layers\[0\]: expected a kernel that fits/,
    ],
    "padding as large as the kernel": [
      sequential([1, 5, 5], { ...conv, padding: 3 }, flatten, DENSE),
      /layers\[0\]: expected less padding than the kernel's 3/,
    ],
    "a window larger than what is left": [
      sequential([1, 5, 5], pool, pool, pool, flatten, DENSE),
      /layers\[2\]: expected a window that fits/,
    ],
    "groups that do not divide": [
      sequential([1, 5, 5], conv, { kind: "group-norm", groups: 3 }, flatten, DENSE),
      /layers\[1\]: expected groups that divide the input's 4 channels/,
    ],
    "an end that is not dense": [sequential([5], DENSE, { kind: "relu" }), /layers: expected a dense layer at the end/],
    "one class": [sequential([5], { kind: "dense", outputs: 1 }), /outputs of the last layer/],
    "too many parameters": [
      sequential([1_000_000], { kind: "dense", outputs: 200 }, DENSE),
      /at most 100000000 parameters/,
    ],
    "too many activations": [
      sequential([1, 4096, 4096], { ...conv, channels: 64 }, flatten, DENSE),
      /floats for an example/,
    ],
  };
  for (const [what, [value, text]] of Object.entries(REFUSED)) {
    it(`is refused: ${what}`, () => {
      assert.throws(
        () => modelShape.read(value, "model"),
        (error) => error instanceof QflareError && error.code === "message.malformed" && text.test(error.message),
      );
      assert.throws(() => parseDescription(JSON.stringify(value)), { code: "model.malformed" });
    });
  }

  it("is refused where its JSON has a key twice or is none", () => {
    for (const json of ['{"kind":"softmax","inputs":4,"inputs":4,"classes":3}', "{", "null"]) {
      assert.throws(() => parseDescription(json), { code: "model.malformed" });
    }
  });
});

describe("a model by its name", () => {
  it("is softmax regression, an MLP of one or more widths, or the CNN", () => {
    assert.deepEqual(namedModel("softmax", 7, 3), { kind: "softmax", inputs: 7, classes: 3 });
    assert.deepEqual(namedModel("mlp", 7, 3), { kind: "mlp", inputs: 7, hidden: [64], classes: 3 });
    assert.deepEqual(namedModel("mlp:20,10", 7, 3), { kind: "mlp", inputs: 7, hidden: [20, 10], classes: 3 });
    assert.equal(layersOf(CNN).length, 8);
    assert.equal(planModel(CNN).classes, 10);
    for (const name of ["", "cnn:3", "mlp:", "mlp:1,", "resnet"]) assert.equal(namedModel(name, 784, 10), undefined);
  });

  it("is refused where it cannot have such inputs or classes", () => {
    for (const [name, inputs, classes] of [
      ["cnn", 99, 10],
      ["cnn", 4, 10],
      ["mlp:0", 4, 10],
      ["softmax", 4, 1],
    ] as const) {
      assert.throws(() => namedModel(name, inputs, classes), { code: "config.invalid" }, name);
    }
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

  it("names the tensors of the CNN as the same layers in torch do", () => {
    assert.deepEqual(
      parameterLayout(CNN).map(({ name, shape }) => [name, ...shape]),
      [
        ["0.weight", 16, 1, 5, 5],
        ["0.bias", 16],
        ["3.weight", 32, 16, 5, 5],
        ["3.bias", 32],
        ["7.weight", 10, 32 * 7 * 7],
        ["7.bias", 10],
      ],
    );
    assert.equal(parameterCount(CNN), 16 * 26 + 32 * 401 + 10 * 1569);
  });

  it("starts scales of normalisation at one and their shifts at zero", () => {
    const layers = [{ kind: "layer-norm" }, DENSE] as unknown as Extract<
      ModelDescription,
      { layers: unknown }
    >["layers"];
    const parameters = initialParameters({ kind: "sequential", input: [4], layers, loss: "mse" }, 1);
    assert.deepEqual([...parameters.subarray(0, 8)], [1, 1, 1, 1, 0, 0, 0, 0]);
    assert.ok(parameters.subarray(8, 20).every((value) => value !== 0));
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

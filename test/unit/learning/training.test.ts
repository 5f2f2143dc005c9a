import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { classCounts, selectRows } from "../../../src/learning/dataset.ts";
import { DEFAULT_MODEL, DEFAULT_PLAN } from "../../../src/learning/defaults.ts";
import { evaluate } from "../../../src/learning/evaluate.ts";
import { initialParameters } from "../../../src/learning/model.ts";
import { Network } from "../../../src/learning/network.ts";
import { trainingPlanShape } from "../../../src/learning/plan.ts";
import { createTrainer, keepTrainer } from "../../../src/learning/trainer.ts";
import { loadFashion } from "./fashion.ts";

const train = loadFashion("train");
const test = loadFashion("t10k");
const device = selectRows(
  train,
  Int32Array.from({ length: 600 }, (_, i) => i),
);
const initial = initialParameters(DEFAULT_MODEL, 1);

function distance(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0));
}

describe("the shipped images", () => {
  it("are 6,000 for training and 1,000 for testing, balanced over ten classes", () => {
    assert.deepEqual([...classCounts(train)], new Array(10).fill(600));
    assert.deepEqual([...classCounts(test)], new Array(10).fill(100));
    assert.equal(train.inputs, 784);
  });
});

describe("trainer", () => {
  for (const build of ["plain", "relaxed"] as const) {
    it(`of the ${build} build gives the same bytes for the same seed, also on a network used before`, async () => {
      const used = new Network(DEFAULT_MODEL, build);
      const plan = { ...DEFAULT_PLAN, momentum: 0.9, learning_rate: 0.01, proximal_mu: 0.1 };
      const first = await createTrainer(used, device).train({ parameters: initial, plan, seed: 5 });
      const other = await createTrainer(used, device).train({ parameters: initial, plan, seed: 6 });
      const again = await createTrainer(used, device).train({ parameters: initial, plan, seed: 5 });
      const fresh = await createTrainer(new Network(DEFAULT_MODEL, build), device).train({
        parameters: initial,
        plan,
        seed: 5,
      });
      assert.deepEqual(again, first);
      assert.deepEqual(fresh, first);
      assert.notDeepEqual(other.parameters, first.parameters);
    });
  }

  it("lowers the loss from epoch to epoch and leaves the global parameters as they are", async () => {
    const network = new Network(DEFAULT_MODEL);
    const before = initial.slice();
    const losses: number[] = [evaluate(network, initial, device).loss];
    for (const epochs of [1, 2, 4]) {
      const plan = { ...DEFAULT_PLAN, epochs };
      const result = await createTrainer(network, device).train({ parameters: initial, plan, seed: 1 });
      losses.push(evaluate(network, result.parameters, device).loss);
      assert.equal(result.examples, 600);
    }
    assert.deepEqual(
      losses,
      losses.toSorted((a, b) => b - a),
    );
    assert.deepEqual(initial, before);
  });

  it("stays nearer to the global model under a proximal term", async () => {
    const network = new Network(DEFAULT_MODEL);
    const drift = async (proximal_mu: number) => {
      const plan = { ...DEFAULT_PLAN, proximal_mu };
      const { parameters } = await createTrainer(network, device).train({ parameters: initial, plan, seed: 1 });
      return distance(parameters, initial);
    };
    assert.ok((await drift(2)) < 0.7 * (await drift(0)));
  });

  it("refuses to return a model that diverged", async () => {
    const plan = { ...DEFAULT_PLAN, learning_rate: 100, momentum: 0.999 };
    await assert.rejects(
      createTrainer(new Network(DEFAULT_MODEL), device).train({ parameters: initial, plan, seed: 1 }),
      (error) => error instanceof QflareError && error.code === "training.diverged",
    );
  });

  it("is kept from round to round, until the model is another one", async () => {
    const closed: string[] = [];
    const trainerFor = keepTrainer((description) => ({
      train: async () => assert.fail("not asked for"),
      close: async () => void closed.push(description.kind),
    }));
    const softmax = { kind: "softmax", inputs: 4, classes: 2 } as const;
    const first = trainerFor(softmax);
    assert.equal(trainerFor({ ...softmax }), first);
    assert.deepEqual(closed, []);
    assert.notEqual(trainerFor(DEFAULT_MODEL), first);
    assert.deepEqual(closed, ["softmax"]);
  });

  it("refuses a plan beyond its limits", () => {
    for (const change of [
      { epochs: 0 },
      { batch_size: 1.5 },
      { learning_rate: -1 },
      { momentum: 1 },
      { optimizer: "lion" },
      { extra: 1 },
    ]) {
      assert.throws(() => trainingPlanShape.read({ ...DEFAULT_PLAN, ...change }, "plan"), QflareError);
    }
    assert.deepEqual(trainingPlanShape.read(DEFAULT_PLAN, "plan"), DEFAULT_PLAN);
  });
});

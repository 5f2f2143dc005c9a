// Devices that average what they have learned, without a network between them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { selectRows } from "../../src/learning/dataset.ts";
import { DEFAULT_MODEL, DEFAULT_PLAN } from "../../src/learning/defaults.ts";
import { evaluate } from "../../src/learning/evaluate.ts";
import { initialParameters } from "../../src/learning/model.ts";
import { Network } from "../../src/learning/network.ts";
import { partition } from "../../src/learning/partition.ts";
import { createTrainer, type TrainingResult } from "../../src/learning/trainer.ts";
import { loadFashion } from "../unit/learning/fashion.ts";

const train = loadFashion("train");
const test = loadFashion("t10k");

/** FedAvg: the mean of the local models, weighted by examples. */
function mean(results: readonly TrainingResult[]): Float32Array {
  const total = results.reduce((sum, result) => sum + result.examples, 0);
  return results[0].parameters.map((_, i) =>
    results.reduce((sum, result) => sum + (result.parameters[i] * result.examples) / total, 0),
  );
}

describe("federated rounds with the defaults", () => {
  for (const [how, expected] of [
    [{ kind: "iid" }, 0.81],
    [{ kind: "dirichlet", alpha: 0.5 }, 0.79],
  ] as const) {
    it(`reach ${expected} on 1,000 test images in ten rounds of ten devices, ${how.kind}`, async () => {
      const network = new Network(DEFAULT_MODEL);
      const trainers = partition(train, 10, how, 1).map((rows) => createTrainer(network, selectRows(train, rows)));
      let parameters: Float32Array = initialParameters(DEFAULT_MODEL, 1);
      for (let round = 0; round < 10; round++) {
        const results: TrainingResult[] = [];
        for (const [i, trainer] of trainers.entries()) {
          results.push(await trainer.train({ parameters, plan: DEFAULT_PLAN, seed: 10 * round + i }));
        }
        parameters = mean(results);
      }
      const { accuracy, examples } = evaluate(network, parameters, test);
      assert.equal(examples, 1000);
      assert.ok(accuracy >= expected, `expected ${expected}, got ${accuracy}`);
    });
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OPTIMIZERS, Optimizer, type OptimizerOptions } from "../../../src/learning/optimizer.ts";
import { PseudoRandom } from "../../../src/math/random.ts";
import { type Build, Workspace } from "../../../src/math/workspace.ts";

const COUNT = 11; // no whole vectors
const STEPS = 4;
const OPTIONS: readonly Omit<OptimizerOptions, "kind">[] = [
  { learningRate: 0.1, momentum: 0, proximalMu: 0, weightDecay: 0 },
  { learningRate: 0.1, momentum: 0.9, proximalMu: 0, weightDecay: 0 },
  { learningRate: 0.01, momentum: 0, proximalMu: 0.5, weightDecay: 0.1 },
  { learningRate: 0.05, momentum: 0.5, proximalMu: 0.2, weightDecay: 0.02 },
];

function values(label: string): Float64Array {
  const random = new PseudoRandom(1, label);
  return Float64Array.from({ length: COUNT }, () => Math.fround(random.gaussian()));
}

/** The slow twin: the update rules of the papers, a parameter at a time in double precision. */
function slowSteps(start: Float64Array, gradients: readonly Float64Array[], options: OptimizerOptions): Float64Array {
  const { kind, learningRate: rate, momentum, proximalMu, weightDecay } = options;
  return start.map((anchor, i) => {
    let [w, velocity, m, v] = [anchor, 0, 0, 0];
    for (const [t, gradient] of gradients.entries()) {
      const g = gradient[i] + proximalMu * (w - anchor) + (kind === "adamw" ? 0 : weightDecay * w);
      if (kind === "sgd") {
        velocity = momentum * velocity + g;
        w -= rate * velocity;
        continue;
      }
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      const step = m / (1 - 0.9 ** (t + 1)) / (Math.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8);
      w -= rate * (step + (kind === "adamw" ? weightDecay * w : 0));
    }
    return w;
  });
}

function workspaceWith(build: Build): Workspace<"parameters" | "gradient" | "velocity" | "second" | "anchor"> {
  const workspace = new Workspace(
    { parameters: COUNT, gradient: COUNT, velocity: COUNT, second: COUNT, anchor: COUNT },
    build,
  );
  // What an earlier training may have left.
  for (const region of Object.values(workspace.regions)) region.fill(3);
  return workspace;
}

describe("optimizer", () => {
  for (const kind of OPTIMIZERS) {
    for (const build of ["plain", "relaxed"] as const) {
      it(`${kind} takes the steps of its slow twin, ${build} build, whatever was there before`, () => {
        for (const rest of OPTIONS) {
          const options = { kind, ...rest };
          const workspace = workspaceWith(build);
          const { parameters, gradient } = workspace.regions;
          const gradients = Array.from({ length: STEPS }, (_, i) => values(`gradient ${i}`));
          parameters.set(values("start"));
          const optimizer = new Optimizer(workspace, options);
          assert.ok(gradient.every((value) => value === 0));
          for (const each of gradients) {
            gradient.set(each);
            optimizer.step();
            assert.ok(gradient.every((value) => value === 0));
          }
          const expected = slowSteps(values("start"), gradients, options);
          for (const [i, actual] of parameters.entries()) {
            const text = `parameter ${i}: expected ${expected[i]}, got ${actual}, ${JSON.stringify(options)}`;
            assert.ok(Math.abs(actual - expected[i]) < 2e-6, text);
          }
        }
      });
    }
  }
});

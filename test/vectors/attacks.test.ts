import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PseudoRandom } from "../../src/math/random.ts";
import { lies, parseAttack } from "../../src/simulate/attacks.ts";
import { alieZ, minMaxGamma, minSumGamma } from "../../src/simulate/colluding.ts";
import { type Scene, statistics } from "../../src/simulate/scene.ts";
import { assertClose } from "../support/rows.ts";

interface Vectors {
  n: number;
  f: number;
  honest: number[][];
  expected: Record<string, number[] | { gamma: number; output: number[] }>;
}

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`data/aggregation/${name}.json`, import.meta.url), "utf8"));
const { n, f, honest: rows, expected } = read("attacks_n25_f5") as Vectors;
const honest = rows.map((row) => Float32Array.from(row));
const scene: Scene = {
  honest,
  own: Array.from({ length: f }, () => new Float32Array(honest[0].length)),
  previous: undefined,
  random: new PseudoRandom(1, "test"),
  aggregate: () => undefined,
};

test("the number of ALIE is that of its paper for every n and f", () => {
  const cases = read("alie_z") as { n: number; f: number; z: number }[];
  assert.equal(cases.length, 13);
  for (const { n, f, z } of cases) assert.ok(Math.abs(alieZ(n, f) - z) < 1e-9, `n ${n}, f ${f}`);
});

const FORMULAS: Record<string, string> = {
  "ipm:0.1": "ipm_eps0_1",
  "ipm:2": "ipm_eps_2",
  "ipm:1": "sign_flip",
  "alie:0": "alie",
  "alie:1.5": "alie_z1_5",
};

for (const [text, name] of Object.entries(FORMULAS)) {
  test(`${text} is ${name} of the vectors, the same from every liar`, () => {
    const told = lies(parseAttack(text), scene);
    assert.equal(told.length, n - honest.length);
    for (const lie of told) assertClose(lie, expected[name] as number[], 1e-6);
  });
}

test("Min-Max and Min-Sum go as far as the vectors in each direction", () => {
  const { mean, deviation } = statistics(honest);
  const norm = Math.hypot(...mean);
  const directions: Record<string, Float64Array> = {
    neg_unit_mean: mean.map((value) => -value / norm),
    neg_std: deviation.map((value) => -value),
    neg_sign: mean.map((value) => -Math.sign(value)),
  };
  for (const [name, direction] of Object.entries(directions)) {
    for (const [kind, gammaOf] of Object.entries({ min_max: minMaxGamma, min_sum: minSumGamma })) {
      const { gamma, output } = expected[`${kind}_${name}`] as { gamma: number; output: number[] };
      const found = gammaOf(honest, mean, direction);
      // The vectors come from a bisection: their last digits are its step.
      assert.ok(Math.abs(found - gamma) < 1e-5, `${kind} ${name}: expected ${gamma}, got ${found}`);
      assertClose(
        mean.map((value, i) => value + found * direction[i]),
        output,
        1e-5,
      );
    }
  }
  assertClose(lies(parseAttack("min-max"), scene)[0], (expected.min_max_neg_std as { output: number[] }).output, 1e-5);
  assertClose(lies(parseAttack("min-sum"), scene)[0], (expected.min_sum_neg_std as { output: number[] }).output, 1e-5);
});

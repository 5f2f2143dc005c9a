import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { ATTACK_KINDS, parseAttack, poisonDataset, poisonDelta } from "../../../src/learning/attacks.ts";
import { createDataset } from "../../../src/learning/dataset.ts";

const delta = Float32Array.of(3, 0, -4);

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

describe("attacks", () => {
  it("flip the sign, scale, or replace the delta by noise of a known norm", () => {
    assert.deepEqual(poisonDelta(parseAttack("sign-flip:2"), delta, 1), Float32Array.of(-6, -0, 8));
    assert.deepEqual(poisonDelta(parseAttack("scale"), delta, 1), Float32Array.of(30, 0, -40));
    const noise = poisonDelta(parseAttack("noise:3"), delta, 1);
    assert.ok(Math.abs(norm(noise) - 15) < 1e-5);
    assert.deepEqual(poisonDelta(parseAttack("noise:3"), delta, 1), noise);
    assert.notDeepEqual(poisonDelta(parseAttack("noise:3"), delta, 2), noise);
    assert.deepEqual(delta, Float32Array.of(3, 0, -4));
  });

  it("mirror the labels and leave the honest data set as it is", () => {
    const dataset = createDataset(new Float32Array(3), Int32Array.of(0, 1, 9), 10);
    assert.deepEqual(poisonDataset(parseAttack("label-flip"), dataset).labels, Int32Array.of(9, 8, 0));
    assert.deepEqual(dataset.labels, Int32Array.of(0, 1, 9));
    assert.equal(poisonDataset(parseAttack("scale"), dataset), dataset);
    assert.deepEqual(poisonDelta(parseAttack("label-flip"), delta, 1), delta);
  });

  it("are named, and nothing else is", () => {
    for (const kind of ATTACK_KINDS) assert.equal(parseAttack(kind).kind, kind);
    for (const text of ["", "scale:", "scale:x", "scale:1:2", "scale:-1", "scale:1e9", "label-flip:2", "sign"]) {
      assert.throws(
        () => parseAttack(text),
        (error) => error instanceof QflareError && error.code === "config.invalid",
      );
    }
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { createDataset } from "../../../src/learning/dataset.ts";
import { PseudoRandom } from "../../../src/math/random.ts";
import { describeAttacks, liarData, lies, parseAttack } from "../../../src/simulate/attacks.ts";
import { triggered } from "../../../src/simulate/backdoor.ts";
import { alie, farthest } from "../../../src/simulate/colluding.ts";
import type { Scene } from "../../../src/simulate/scene.ts";
import { gaussianRows } from "../../support/rows.ts";

const rows = gaussianRows(5, 12, 40);

function sceneOf(change: Partial<Scene> = {}): Scene {
  const random = new PseudoRandom(3, "test");
  return {
    honest: rows.slice(0, 9),
    own: rows.slice(9),
    previous: undefined,
    random,
    aggregate: () => undefined,
    ...change,
  };
}

const norm = (delta: Float32Array) => Math.hypot(...delta);

test("every attack answers with one update of the right length for each liar, and leaves its inputs alone", () => {
  const before = rows.map((row) => row.slice());
  for (const { name } of describeAttacks()) {
    const told = lies(parseAttack(name), sceneOf({ aggregate: (tries) => tries[0] }));
    assert.deepEqual(
      told.map((lie) => lie.length),
      [40, 40, 40],
      name,
    );
  }
  assert.deepEqual(rows, before);
});

test("the same seed gives the same lies", () => {
  for (const name of ["gauss", "sybil", "mimic", "free-rider"]) {
    assert.deepEqual(lies(parseAttack(name), sceneOf()), lies(parseAttack(name), sceneOf()), name);
  }
});

test("mimic repeats one honest update word for word", () => {
  const told = lies(parseAttack("mimic"), sceneOf());
  assert.ok(rows.slice(0, 9).some((row) => Buffer.from(row.buffer).equals(Buffer.from(told[0].buffer))));
});

test("a free rider sends zeros at first, and then the last global update with noise", () => {
  assert.equal(norm(lies(parseAttack("free-rider"), sceneOf())[0]), 0);
  const previous = rows[0];
  const told = lies(parseAttack("free-rider:0.1"), sceneOf({ previous }))[0];
  const distance = norm(told.map((value, i) => value - previous[i]));
  assert.ok(distance > 0 && distance < 0.2 * norm(previous));
});

test("an optimal attack is at least as far from the honest mean as the attack with a number of its own", () => {
  const aggregate = (tries: readonly Float32Array[]) => (norm(tries[0]) > 8 ? undefined : tries[0]);
  const best = farthest(sceneOf({ aggregate }), alie);
  assert.ok(norm(best) <= 8, "one that the rule throws out gains nothing");
  const mean = Array.from({ length: 40 }, (_, i) => rows.slice(0, 9).reduce((sum, row) => sum + row[i] / 9, 0));
  const damage = (lie: Float32Array) => norm(lie.map((value, i) => value - mean[i]));
  assert.ok(damage(best) > damage(alie(sceneOf(), 0.5)));
});

test("what is no attack is refused", () => {
  for (const text of ["", "unknown", "alie:", "alie:-1", "mimic:2", "scale:1e9", "scale:10:2", "none:1"]) {
    assert.throws(() => parseAttack(text), { code: "config.invalid" }, text);
  }
});

const pictures = createDataset(
  Float32Array.from({ length: 20 * 64 }, (_, i) => (i % 7) / 7),
  Int32Array.from({ length: 20 }, (_, i) => i % 4),
  4,
);

test("a backdoor patches half of the liar's pictures and calls them class 0", () => {
  const poisoned = liarData(parseAttack("backdoor"), pictures, 9);
  const changed = Array.from({ length: 20 }, (_, row) => row).filter(
    (row) => poisoned.features[row * 64 + 6 * 8 + 6] === Math.fround(6 / 7) && poisoned.labels[row] === 0,
  );
  assert.ok(changed.length >= 10);
  assert.equal(pictures.labels[1], 1, "the data themselves are left alone");
});

test("success is measured on pictures of other classes alone, all patched", () => {
  const test = triggered(pictures);
  assert.equal(test.count, 15);
  assert.ok(test.labels.every((label) => label === 0));
  for (let row = 0; row < test.count; row++) {
    for (const place of [4 * 8 + 4, 5 * 8 + 5, 6 * 8 + 6]) {
      assert.equal(test.features[row * 64 + place], Math.fround(6 / 7));
    }
  }
});

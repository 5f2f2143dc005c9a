import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defend, type Update } from "../../../src/aggregation/defence.ts";
import { type Policy, readPolicy } from "../../../src/aggregation/policy.ts";
import { coded } from "../../support/errors.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

const LENGTH = 3000;
const MEAN = readPolicy({ aggregation: { rule: "mean" } });
const FILTERED = readPolicy({
  aggregation: {
    rule: "mean",
    before: [
      { rule: "norm-reject", factor: 5 },
      { rule: "cosine", threshold: -0.06, reference: "others" },
    ],
  },
  updates_min: 3,
});

/** Updates of one direction, each with noise of its own as long as the direction. */
function honestUpdates(seed: number, count: number): Update[] {
  const base = gaussianRows(seed, 1, LENGTH)[0];
  return gaussianRows(seed + 1, count, LENGTH).map((noise) => ({
    delta: base.map((value, i) => value + noise[i]),
    examples: 600,
  }));
}

const changed = (update: Update, change: (value: number) => number): Update => ({
  ...update,
  delta: update.delta.map(change),
});

describe("defence", () => {
  it("accepts ten honest updates and gives their mean", () => {
    const updates = honestUpdates(1, 10);
    const { delta, accepted, reports } = defend(FILTERED, updates, LENGTH);
    assert.equal(accepted, 10);
    assert.ok(reports.every((report) => report.verdict === "accepted" && report.reason === null));
    assert.ok(reports.every((report) => report.norm !== null && report.cosine !== null && report.weight === 600));
    const mean = Array.from(delta, (_, i) => updates.reduce((sum, update) => sum + update.delta[i] / 10, 0));
    assertClose(delta, mean, 1e-6);
  });

  it("rejects crude liars, each for its reason", () => {
    const honest = honestUpdates(2, 9);
    const liars: [Update, string][] = [
      [changed(honest[0], (value) => -value), "update.cosine"],
      [changed(honest[0], (value) => -50 * value), "update.norm"],
      [changed(honest[0], (value) => 1e9 * value), "update.norm"],
      [changed(honest[0], () => Number.NaN), "update.not_finite"],
      [{ ...honest[0], delta: new Float32Array(LENGTH - 1) }, "update.length"],
      [{ ...honest[0], examples: 0 }, "update.examples"],
      [{ ...honest[0], examples: -5 }, "update.examples"],
      [{ ...honest[0], examples: 2 ** 53 }, "update.examples"],
      [{ ...honest[0], examples: Number.NaN }, "update.examples"],
    ];
    for (const [liar, reason] of liars) {
      const { accepted, reports } = defend(FILTERED, [...honest.slice(0, 4), liar, ...honest.slice(4)], LENGTH);
      assert.equal(accepted, 9, reason);
      const { verdict, weight, ...report } = reports[4];
      assert.deepEqual([verdict, report.reason, weight], ["rejected", reason, 0]);
    }
  });

  it("caps what a device gains by claiming examples", () => {
    const updates = honestUpdates(3, 5);
    const honest = defend(MEAN, updates, LENGTH).delta;
    updates[0] = { ...updates[0], examples: 1e9 };
    const { delta, reports } = defend(MEAN, updates, LENGTH);
    assert.equal(reports[0].weight, 1200);
    assertClose(
      delta,
      Array.from(honest, (value, i) => (5 * value + updates[0].delta[i]) / 6),
      1e-6,
    );
  });

  it("takes the cap from the updates that are left, not from the claims of rejected ones", () => {
    const updates = honestUpdates(6, 5);
    const liars = [0, 1, 2, 3].map((i) => ({ ...changed(updates[i], (value) => -50 * value), examples: 1e9 }));
    updates[0] = { ...updates[0], examples: 1e6 };
    const { reports } = defend(FILTERED, [...updates, ...liars], LENGTH);
    assert.deepEqual(
      reports.map(({ weight }) => weight),
      [1200, 600, 600, 600, 600, 0, 0, 0, 0],
    );
  });

  it("says which specification a preset stood for", () => {
    const policy: Policy = readPolicy({ aggregation: { rule: "default" } });
    const { specification, reports } = defend(policy, honestUpdates(7, 11), LENGTH);
    assert.deepEqual([specification.rule, "f" in specification && specification.f], ["dnc", 2]);
    assert.ok(reports.every(({ verdict, cosine }) => verdict !== "rejected" && cosine !== null));
  });

  it("needs three updates to judge by the cosine, before and after", () => {
    const few = coded("aggregation.precondition");
    const honest = honestUpdates(4, 3);
    assert.equal(defend(FILTERED, honest, LENGTH).accepted, 3);
    for (const count of [0, 1, 2]) {
      assert.throws(() => defend(FILTERED, honest.slice(0, count), LENGTH), few);
    }
    const opposed = changed(honest[2], (value) => -value);
    assert.throws(() => defend(FILTERED, [honest[0], honest[1], opposed], LENGTH), few);
    assert.equal(defend(MEAN, honest.slice(0, 1), LENGTH).accepted, 1);
    assert.throws(() => defend(MEAN, [], LENGTH), few);
  });

  it("reports the scores of a rule that chooses", () => {
    const policy = { ...MEAN, aggregation: { rule: "krum", f: 1 } } as const;
    const { accepted, reports } = defend(policy, honestUpdates(5, 6), LENGTH);
    assert.equal(accepted, 1);
    assert.equal(reports.filter(({ verdict }) => verdict === "passed over").length, 5);
    assert.ok(reports.every(({ score, cosine }) => score !== null && score > 0 && cosine === null));
  });
});

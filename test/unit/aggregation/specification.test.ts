import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PRESETS, readPolicy } from "../../../src/aggregation/policy.ts";
import { readSpecification } from "../../../src/aggregation/specification.ts";
import { coded } from "../../support/errors.ts";

describe("specifications", () => {
  it("are read from objects and from decoded maps alike", () => {
    const specification = { rule: "trimmed-mean", f: 2, before: [{ rule: "norm-clip", c: "median" }] };
    assert.deepEqual(readSpecification(specification), specification);
    const step = new Map<string, unknown>([
      ["rule", "norm-clip"],
      ["c", "median"],
    ]);
    const map = new Map<string, unknown>([
      ["rule", "trimmed-mean"],
      ["f", 2],
      ["before", [step]],
    ]);
    assert.deepEqual(readSpecification(map), specification);
  });

  it("leave out what is optional", () => {
    assert.deepEqual(readSpecification({ rule: "krum", f: 1 }), { rule: "krum", f: 1 });
    assert.deepEqual(readSpecification({ rule: "krum", f: 1, neighbours: 3 }), { rule: "krum", f: 1, neighbours: 3 });
  });

  it("read a list of numbers where a vector is wanted", () => {
    const read = readSpecification({ rule: "centered-clipping", tau: 1, iterations: 2, start: [1, 2] });
    assert.deepEqual(read, { rule: "centered-clipping", tau: 1, iterations: 2, start: Float32Array.of(1, 2) });
  });

  it("are refused where they hold what nobody knows", () => {
    const hostile: unknown[] = [
      undefined,
      null,
      "mean",
      [],
      {},
      { rule: "meen" },
      { rule: "toString" },
      { rule: "__proto__" },
      { rule: ["mean"] },
      { rule: "mean", f: 1 },
      { rule: "mean", weights: [1] },
      { rule: "trimmed-mean" },
      { rule: "trimmed-mean", f: -1 },
      { rule: "trimmed-mean", f: 1.5 },
      { rule: "trimmed-mean", f: "1" },
      { rule: "trimmed-mean", f: Number.NaN },
      { rule: "trimmed-mean", f: 1e9 },
      { rule: "trimmed-mean", f: undefined },
      { rule: "trimmed-mean", F: 1 },
      { rule: "norm-clip", c: 1 },
      { rule: "mean", before: {} },
      { rule: "mean", before: ["cosine"] },
      { rule: "mean", before: [{ rule: "krum", f: 1 }] },
      { rule: "mean", before: [{ rule: "cosine", threshold: 2 }] },
      { rule: "mean", before: [{ rule: "cosine", threshold: 0, reference: "none" }] },
      { rule: "mean", before: [{ rule: "norm-clip", c: "mean" }] },
      { rule: "mean", before: [{ rule: "norm-clip", c: -1 }] },
      { rule: "mean", before: [{ rule: "norm-reject", factor: 0.5 }] },
      { rule: "mean", before: Array.from({ length: 9 }, () => ({ rule: "norm-clip", c: 1 })) },
      { rule: "centered-clipping", tau: 1, iterations: 0, start: "zero" },
      { rule: "centered-clipping", tau: 1, iterations: 1, start: [Number.NaN] },
      { rule: "centered-clipping", tau: 1, iterations: 1, start: Float32Array.of(Number.NaN) },
      new Map<unknown, unknown>([[1, "mean"]]),
    ];
    for (const value of hostile) {
      assert.throws(() => readSpecification(value), coded("config.invalid"), String(JSON.stringify(value)));
    }
  });

  it("say where the problem is", () => {
    const text = /aggregation\.before\[0\]\.c: expected number from 0 .* or "median"/;
    assert.throws(
      () => readSpecification({ rule: "mean", before: [{ rule: "norm-clip", c: -1 }] }),
      coded("config.invalid", text),
    );
  });
});

describe("policies", () => {
  it("come from a preset, with bounds beside it", () => {
    assert.deepEqual(readPolicy({ preset: "cosine" }), PRESETS.cosine);
    assert.deepEqual(readPolicy({ preset: "mean", norm_max: 10 }), { ...PRESETS.mean, norm_max: 10 });
  });

  it("name their own aggregation with every bound", () => {
    const policy = { aggregation: { rule: "median" }, norm_max: 1, weight_cap: 1, updates_min: 3 };
    assert.deepEqual(readPolicy(policy), policy);
    for (const { aggregation } of Object.values(PRESETS)) assert.deepEqual(readSpecification(aggregation), aggregation);
  });

  it("are refused where they are incomplete, double or unknown", () => {
    const bounds = { norm_max: 1, weight_cap: 1, updates_min: 3 };
    const hostile: unknown[] = [
      null,
      {},
      { preset: "none" },
      { preset: "constructor" },
      { preset: "mean", aggregation: { rule: "mean" } },
      { preset: "mean", normMax: 1 },
      { preset: "mean", norm_max: Number.POSITIVE_INFINITY },
      { preset: "mean", weight_cap: 0.5 },
      { preset: "mean", updates_min: 0 },
      { aggregation: { rule: "mean" } },
      { aggregation: { rule: "meen" }, ...bounds },
    ];
    for (const value of hostile) {
      assert.throws(() => readPolicy(value), coded("config.invalid"), JSON.stringify(value));
    }
  });
});

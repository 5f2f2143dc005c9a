import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseChain } from "../../../src/aggregation/chain.ts";
import { DEFAULT_BOUNDS, readPolicy } from "../../../src/aggregation/policy.ts";
import { assumedLiars, PRESETS } from "../../../src/aggregation/presets.ts";
import { readChoice, readSpecification, specificationFor } from "../../../src/aggregation/specification.ts";
import { unmetNeed } from "../../../src/aggregation/table.ts";
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
      { rule: "mean", layerwise: true },
      { rule: "krum", f: 1, layerwise: 1 },
      { rule: "fltrust" },
      { rule: "rlr" },
      { rule: "dnc", f: 1, coordinates: 0 },
      { rule: "dnc", f: 1, coordinates: "some" },
      { rule: "foolsgold", history: [1] },
      { rule: "flame", lambda: -1 },
      { rule: "signguard", low: 2 },
      { rule: "caf" },
      { rule: "mean", before: [{ rule: "bucketing", s: 2, permutation: "random" }] },
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

describe("presets", () => {
  it("stand where a rule stands, and mean a specification for each number of updates", () => {
    for (const name of Object.keys(PRESETS)) {
      const choice = readChoice({ rule: name });
      for (const updates of [1, 4, 5, 10, 100]) {
        const specification = specificationFor(choice, updates);
        assert.deepEqual(readSpecification(specification), specification);
      }
    }
    assert.equal(unmetNeed(specificationFor(readChoice({ rule: "default" }), 3), 3), undefined);
  });

  it("are asked for as many rows as the steps before leave them", () => {
    const after = (s: number, rule: object) => readSpecification({ ...rule, before: [{ rule: "bucketing", s }] });
    assert.equal(unmetNeed(after(2, { rule: "mda", f: 1 }), 50), undefined);
    assert.match(unmetNeed(after(2, { rule: "mda", f: 1 }), 52)!, /^mda needs/);
    assert.match(unmetNeed(after(3, { rule: "krum", f: 1 }), 12)!, /^krum needs/);
  });

  it("take a fifth of the updates for liars where f is absent, and what is given where not", () => {
    assert.deepEqual([1, 4, 5, 9, 10, 100].map(assumedLiars), [0, 0, 1, 1, 2, 20]);
    const given = specificationFor(readChoice({ rule: "default", f: 3 }), 10);
    assert.ok("f" in given && given.f === 3);
  });

  it("are refused with parameters that they do not have", () => {
    const hostile = [
      { rule: "default", g: 1 },
      { rule: "default", f: -1 },
      { rule: "default", before: [] },
      { rule: "streaming-mean", f: 1 },
      { rule: "defaults" },
    ];
    for (const value of hostile) assert.throws(() => readChoice(value), coded("config.invalid"), JSON.stringify(value));
    assert.throws(() => readSpecification({ rule: "default" }), coded("config.invalid"));
  });
});

describe("chains", () => {
  it("say a specification in one word of a shell", () => {
    assert.deepEqual(parseChain("default"), { rule: "default" });
    assert.deepEqual(parseChain("norm-reject:factor=5/nnm:f=2:layerwise=true/trimmed-mean:f=2"), {
      rule: "trimmed-mean",
      f: 2,
      before: [
        { rule: "norm-reject", factor: 5 },
        { rule: "nnm", f: 2, layerwise: true },
      ],
    });
    assert.deepEqual(parseChain("cosine:threshold=-0.06:reference=others/mean"), {
      rule: "mean",
      before: [{ rule: "cosine", threshold: -0.06, reference: "others" }],
    });
    assert.deepEqual(parseChain('{"rule":"krum","f":1}'), { rule: "krum", f: 1 });
    assert.deepEqual(parseChain("norm-clip:c=1e-3/mean"), { rule: "mean", before: [{ rule: "norm-clip", c: 1e-3 }] });
  });

  it("are refused where they have no such form", () => {
    for (const text of [
      "",
      "/",
      "mean/",
      "krum:f",
      "krum:f=",
      "krum:f=1:f=2",
      "krum f=1",
      "Krum",
      "krum:rule=mean",
      "{",
      '{"rule":"mean","rule":"median"}',
      '{"rule":"mean","before":[{"rule":"nnm","f":1,"f":2}]}',
    ]) {
      assert.throws(() => parseChain(text), coded("config.invalid"), text);
    }
  });
});

describe("policies", () => {
  it("have bounds of their own where none are given", () => {
    const aggregation = { rule: "default" };
    assert.deepEqual(readPolicy({ aggregation }), { aggregation, ...DEFAULT_BOUNDS });
    assert.equal(readPolicy({ aggregation, norm_max: 10 }).norm_max, 10);
  });

  it("are refused where they are incomplete or unknown", () => {
    const aggregation = { rule: "mean" };
    const hostile: unknown[] = [
      null,
      {},
      { aggregation: "mean" },
      { aggregation: { rule: "meen" } },
      { aggregation, preset: "default" },
      { aggregation, normMax: 1 },
      { aggregation, norm_max: Number.POSITIVE_INFINITY },
      { aggregation, weight_cap: 0.5 },
      { aggregation, updates_min: 0 },
    ];
    for (const value of hostile) {
      assert.throws(() => readPolicy(value), coded("config.invalid"), JSON.stringify(value));
    }
  });
});

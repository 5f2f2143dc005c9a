import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import type { Specification } from "../../../src/aggregation/table.ts";
import { PRE_AGGREGATORS, RULES } from "../../../src/aggregation/table.ts";
import { coded } from "../../support/errors.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";
import { everySpecification } from "../../support/specifications.ts";

const rows = (...values: number[][]): Float32Array[] => values.map((row) => Float32Array.from(row));
const MEAN: Specification = { rule: "mean" };

interface EdgeCases {
  integer_ties_n3: { inputs: number[][]; expected: Record<string, number[]> };
  identical_updates: { inputs: number[][]; expected: Record<string, number[]> };
  even_median: { inputs: number[][]; expected: Record<string, number[]> };
  all_zero: { inputs: number[][] };
  non_finite: {
    inputs_valid: number[][];
    inputs_invalid: (number | string)[][];
    f: number;
    expected_on_valid: Record<string, number[]>;
  };
  precondition_errors: { rule: string; n: number; f?: number; m?: number; weights?: number[] }[];
  cancellation: { inputs: number[][] };
}
const edgeFile = new URL("../../vectors/data/aggregation/edge_cases.json", import.meta.url);
const edge = JSON.parse(readFileSync(edgeFile, "utf8")) as EdgeCases;

describe("aggregate", () => {
  it("agrees with the edge cases of ties", () => {
    const { inputs, expected } = edge.integer_ties_n3;
    const delta = (specification: Specification) => aggregate(specification, rows(...inputs)).delta;
    assertClose(delta({ rule: "median" }), expected.median, 1e-6);
    assertClose(delta({ rule: "trimmed-mean", f: 1 }), expected.trimmed_mean_f1, 1e-6);
    assertClose(delta({ rule: "mda", f: 1 }), expected.mda_f1, 1e-6);
    const rfa: Specification = { rule: "geometric-median", smoothing: 0.1, iterations: 3, start: "zero" };
    assertClose(delta(rfa), expected.rfa_nu0_1_T3_from_zero, 1e-6);
    const clipping: Specification = { rule: "centered-clipping", tau: 100, iterations: 1, start: "zero" };
    assertClose(delta(clipping), expected.centered_clipping_tau100_L1, 1e-6);
  });

  it("agrees with the edge cases of identical updates and of even counts", () => {
    const same = rows(...edge.identical_updates.inputs);
    assertClose(aggregate({ rule: "median" }, same).delta, edge.identical_updates.expected.median, 0);
    assertClose(aggregate({ rule: "geometric-median" }, same).delta, [0, 0], 0);
    const krum = aggregate({ rule: "krum", f: 1 }, same);
    assert.deepEqual(krum.selected, [0]);
    assert.deepEqual(krum.scores.krum, edge.identical_updates.expected.krum_f1_scores);
    const even = rows(...edge.even_median.inputs);
    assertClose(aggregate({ rule: "median" }, even).delta, edge.even_median.expected.median, 0);
    assertClose(aggregate({ rule: "trimmed-mean", f: 1 }, even).delta, edge.even_median.expected.trimmed_mean_f1, 0);
  });

  it("keeps zero updates zero under every rule", () => {
    for (const specification of everySpecification(7)) {
      const zeros = Array.from({ length: 7 }, () => new Float32Array(2));
      assert.deepEqual(
        [...aggregate(specification, zeros, { layers: [1, 1] }).delta],
        [0, 0],
        JSON.stringify(specification),
      );
    }
  });

  it("rejects what is not finite or too long for float32, and aggregates the rest", () => {
    const { inputs_valid, inputs_invalid, expected_on_valid } = edge.non_finite;
    const deltas = rows(...inputs_valid, ...inputs_invalid.map((row) => row.map(Number)));
    const result = aggregate({ rule: "trimmed-mean", f: 2 }, deltas);
    assertClose(result.delta, expected_on_valid.trimmed_mean_f2, 1e-6);
    assert.deepEqual(
      result.rejected.map(({ index, reason }) => `${index} ${reason}`),
      ["7 update.not_finite", "8 update.not_finite", "9 update.not_finite", "10 update.norm"],
    );
    assert.deepEqual(result.selected, [0, 1, 2, 3, 4, 5, 6]);
    assertClose(aggregate(MEAN, deltas).delta, expected_on_valid.mean, 1e-6);
    assert.deepEqual(aggregate({ rule: "krum", f: 2 }, deltas).selected, [0]);
  });

  it("does not lower f when updates are rejected", () => {
    const deltas = rows([1], [2], [3], [Number.NaN], [Number.NaN]);
    assert.throws(
      () => aggregate({ rule: "trimmed-mean", f: 2 }, deltas),
      coded("aggregation.precondition", /n > 2f, got n = 3/),
    );
  });

  it("refuses every broken precondition of the edge cases", () => {
    assert.equal(edge.precondition_errors.length, 10);
    for (const { rule, n, f, m, weights } of edge.precondition_errors) {
      const deltas = gaussianRows(1, n, 3);
      const name = rule.replace("_", "-");
      const inner = { rule: "any" === rule || "fedavg" === rule ? "mean" : name, ...(f === undefined ? {} : { f }) };
      const own = m === undefined ? inner : { ...inner, m };
      const specification = name === "nnm" ? { rule: "median", before: [own] } : own;
      const run = () => aggregate(specification as Specification, deltas, weights === undefined ? {} : { weights });
      assert.throws(
        run,
        coded(f === undefined ? "aggregation.input" : "aggregation.precondition"),
        JSON.stringify(own),
      );
    }
  });

  it("sees that huge updates differ by little", () => {
    const [x, y, z] = rows(...edge.cancellation.inputs);
    const { scores } = aggregate({ rule: "krum", f: 0 }, [x, y, z]);
    assert.deepEqual(scores.krum, [0, 0, 4]);
  });

  it("takes the mean of two updates as their median, and one update as it is", () => {
    assert.deepEqual([...aggregate({ rule: "median" }, rows([1, 4], [3, 8])).delta], [2, 6]);
    assert.deepEqual([...aggregate({ rule: "median" }, rows([1, 4])).delta], [1, 4]);
    assert.deepEqual([...aggregate(MEAN, rows([1, 4])).delta], [1, 4]);
  });

  it("gives back what all updates agree on, under every rule", () => {
    for (const specification of everySpecification(7)) {
      if (specification.rule === "centered-clipping") continue; // still on its way from zero
      const same = Array.from({ length: 7 }, () => Float32Array.of(0.5, -0.25, 0.125));
      const { delta } = aggregate(specification, same, { layers: [2, 1] });
      if (specification.rule === "geometric-median" && specification.start === "zero")
        assertClose(delta, same[0], 1e-6);
      else assertClose(delta, [0.5, -0.25, 0.125], 1e-7);
    }
  });

  it("writes into no update and stays the same when it is run again", () => {
    const deltas = gaussianRows(5, 9, 700);
    const before = deltas.map((row) => row.slice());
    for (const specification of everySpecification(9)) {
      const first = aggregate(specification, deltas, { layers: [300, 400] });
      const second = aggregate(specification, deltas, { layers: [300, 400] });
      assert.deepEqual(second, first);
      assert.deepEqual(deltas, before);
      assert.ok(deltas.every((delta) => delta.buffer !== first.delta.buffer));
    }
  });

  it("refuses hostile input with a code", () => {
    const input = coded("aggregation.input");
    assert.throws(() => aggregate(MEAN, []), input);
    assert.throws(() => aggregate(MEAN, rows([])), input);
    assert.throws(() => aggregate(MEAN, rows([1], [1, 2])), input);
    for (const weights of [
      [1],
      [1, 2, 3],
      [1, -1],
      [1, Number.NaN],
      [1, Number.POSITIVE_INFINITY],
      [0, 0],
      [1e308, 1e308],
    ]) {
      assert.throws(() => aggregate(MEAN, rows([1], [2]), { weights }), input, String(weights));
    }
    const start = Float32Array.of(1, 2, 3);
    const clipping: Specification = { rule: "centered-clipping", tau: 1, iterations: 1, start };
    assert.throws(() => aggregate(clipping, rows([1], [2])), input);
    for (const permutation of [[0], [0, 0], [0, 2], [0, 1, 2]]) {
      const bucketing: Specification = { rule: "mean", before: [{ rule: "bucketing", s: 2, permutation }] };
      assert.throws(() => aggregate(bucketing, rows([1], [2])), input);
    }
    assert.throws(() => aggregate(MEAN, [[1, 2]] as never), TypeError);
  });

  it("rejects an update of a wrong length where the length is declared", () => {
    const { rejected, selected } = aggregate(MEAN, rows([1, 2], [1], [3, 4]), { length: 2 });
    assert.deepEqual(rejected, [{ index: 1, reason: "update.length" }]);
    assert.deepEqual(selected, [0, 2]);
  });

  it("says so where all updates are rejected", () => {
    const deltas = rows([Number.NaN], [Number.POSITIVE_INFINITY]);
    assert.throws(() => aggregate(MEAN, deltas), coded("aggregation.precondition", /got n = 0/));
    const before: Specification = { rule: "mean", before: [{ rule: "cosine", threshold: 1 }] };
    assert.throws(() => aggregate(before, rows([1, 0], [0, 1], [-1, 0])), coded("aggregation.precondition"));
    assert.throws(
      () => aggregate(MEAN, rows([Number.NaN], [1]), { weights: [1, 0] }),
      coded("aggregation.precondition", /weight/),
    );
  });

  it("clips to the norm that is given, and tells the factors", () => {
    const { inputs, expected } = edge.integer_ties_n3;
    const [x] = rows(inputs[2]);
    const clip: Specification = { rule: "mean", before: [{ rule: "norm-clip", c: 2 }] };
    const { delta, scores } = aggregate(clip, [x]);
    assertClose(delta, (expected.clip_c2 as unknown as number[][])[2], 1e-6);
    assert.equal(scores["norm-clip"]?.[0], 2 / Math.sqrt(49 + 64 + 81));
  });

  it("rejects the long, the opposed and the noisy, and tells their cosines", () => {
    const base = gaussianRows(8, 1, 2000)[0];
    const noisy = gaussianRows(9, 10, 2000);
    const honest = noisy.slice(0, 7).map((noise) => base.map((value, i) => value + noise[i]));
    const flipped = honest[0].map((value) => -value);
    const boosted = honest[1].map((value) => 100 * value);
    const deltas = [...honest, flipped, boosted, noisy[9]];
    const result = aggregate(
      {
        rule: "mean",
        before: [
          { rule: "norm-reject", factor: 5 },
          { rule: "cosine", threshold: 0.1, reference: "others" },
        ],
      },
      deltas,
    );
    assert.deepEqual(result.selected, [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(
      result.rejected.map(({ reason }) => reason),
      ["update.cosine", "update.norm", "update.cosine"],
    );
    const cosines = result.scores.cosine as (number | null)[];
    assert.ok(cosines.slice(0, 7).every((value) => value !== null && value > 0.3));
    assert.ok(cosines[7] !== null && cosines[7] < -0.3);
    assert.equal(cosines[8], null);
    assert.ok(cosines[9] !== null && Math.abs(cosines[9]) < 0.1);
  });

  it("describes every rule in the table by the name it is called by", () => {
    for (const [name, entry] of [...Object.entries(RULES), ...Object.entries(PRE_AGGREGATORS)]) {
      assert.equal(entry.name, name);
      for (const text of [entry.summary, entry.source, entry.complexity, entry.limits]) assert.ok(text.length > 0);
    }
  });
});

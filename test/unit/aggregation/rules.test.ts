import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { referenceKrumScores } from "../../../src/aggregation/reference.ts";
import type { Specification } from "../../../src/aggregation/table.ts";
import { referenceMeanAroundMedian } from "../../../src/math/reference.ts";
import { coded } from "../../support/errors.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

const rows = (...values: number[][]): Float32Array[] => values.map((row) => Float32Array.from(row));
const input = coded("aggregation.input");
const precondition = coded("aggregation.precondition");

/** Honest updates of one direction, and behind them the liars' ones. */
function attacked(count: number, lies: (honest: Float32Array[]) => Float32Array[], length = 400): Float32Array[] {
  const [centre] = gaussianRows(1, 1, length);
  const honest = gaussianRows(2, count, length).map((noise) => centre.map((value, i) => value + noise[i]));
  return [...honest, ...lies(honest)];
}

const flipped = (honest: Float32Array[]) => honest.slice(0, 2).map((row) => row.map((value) => -value));

describe("distances of updates far from the origin", () => {
  for (const ratio of [1e-1, 1e-2, 1e-3, 1e-4]) {
    it(`order updates rightly where they are ${ratio} of what they lie on`, () => {
      for (const [n, length] of [
        [12, 20_000],
        [120, 6_000],
      ]) {
        const [base] = gaussianRows(7, 1, length).map((row) => row.map((value) => 0.1 * value));
        const moved = gaussianRows(8, n, length).map((row, r) =>
          row.map((value, i) => base[i] + 0.1 * ratio * value * (1 + r / n)),
        );
        const expected = referenceKrumScores(moved, 2);
        const { scores } = aggregate({ rule: "krum", f: 2 }, moved);
        const order = (values: readonly (number | null)[]) =>
          values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
        assert.deepEqual(order(scores.krum), order(expected));
      }
    });
  }
});

describe("rules that choose", () => {
  it("leave out updates that are turned around", () => {
    const deltas = attacked(9, flipped);
    const specifications: Specification[] = [
      { rule: "dnc", f: 2 },
      { rule: "dnc", f: 2, iterations: 3, coordinates: 50 },
      { rule: "flame" },
      { rule: "fltrust", root: deltas[0] },
      { rule: "multi-krum", f: 2, layerwise: true },
    ];
    for (const specification of specifications) {
      const { selected } = aggregate(specification, deltas, { layers: [100, 300] });
      assert.ok(selected.length > 0 && selected.every((i) => i < 9), JSON.stringify(specification));
    }
    const { scores } = aggregate({ rule: "caf", f: 2 }, deltas);
    assert.ok(scores.caf.slice(9).every((weight) => weight! < 0.5));
  });

  it("take little from two devices that send the same, by FoolsGold", () => {
    const apart = gaussianRows(3, 7, 400);
    const { scores } = aggregate({ rule: "foolsgold" }, [...apart, apart[0].map((value) => 2 * value)]);
    assert.deepEqual([scores.foolsgold[0], scores.foolsgold[7]], [0, 0]);
    assert.ok(scores.foolsgold.slice(1, 7).every((weight) => weight === 1));
  });

  it("give no delta where all are alike or none is trusted", () => {
    const same = rows([1, 2], [1, 2], [1, 2]);
    const gold = aggregate({ rule: "foolsgold" }, same);
    assert.deepEqual([gold.selected, [...gold.delta]], [[], [0, 0]]);
    const trust = aggregate({ rule: "fltrust", root: Float32Array.of(-1, 0) }, same);
    assert.deepEqual([trust.selected, [...trust.delta]], [[], [0, 0]]);
  });

  it("leave out by their signs what no length shows, and by its length what no sign shows", () => {
    const positive = gaussianRows(4, 9, 400).map((row) => row.map((value) => value + 0.7));
    const turned = positive[0].map((value) => -value);
    const long = positive[1].map((value) => 9 * value);
    const { selected } = aggregate({ rule: "signguard" }, [...positive, turned, long]);
    assert.deepEqual(selected, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const none = [...positive.slice(0, 2).map((row) => row.map((value) => 1e-3 * value)), turned, turned];
    assert.throws(() => aggregate({ rule: "signguard", low: 1, high: 1 }, none), precondition);
  });

  it("prefer the first of updates as far from the median, by value or as picked", () => {
    for (const [values, expected] of [
      [[1, 2, 3], 1.5],
      [[3, 2, 1], 2.5],
    ] as const) {
      assert.deepEqual([...aggregate({ rule: "meamed", f: 1 }, rows(...values.map((v) => [v]))).delta], [expected]);
    }
    for (const n of [8, 9, 10]) {
      const whole = gaussianRows(n, n, 200).map((row) => row.map((value) => Math.round(2 * value)));
      const { delta, selected } = aggregate({ rule: "bulyan", f: 1 }, whole);
      const expected = referenceMeanAroundMedian(
        selected.map((i) => whole[i]),
        n - 4,
      );
      assertClose(delta, expected, 1e-6);
    }
  });

  it("turn the step where too few agree on its sign", () => {
    const { delta } = aggregate({ rule: "rlr", theta: 3 }, rows([1, 1, 0], [1, 1, 2], [1, -5, 2]));
    assertClose(delta, [1, 1, -4 / 3], 1e-6);
  });

  it("add the noise of FLAME from the updates alone, as long as its lambda", () => {
    const deltas = attacked(9, () => [], 4000);
    const [quiet, noisy] = [0, 0.01].map((lambda) => aggregate({ rule: "flame", lambda }, deltas));
    const noise = noisy.delta.map((value, i) => value - quiet.delta[i]);
    const deviation = Math.hypot(...noise) / Math.sqrt(4000);
    const bound = (quiet.scores.norm as number[]).toSorted((a, b) => a - b)[4];
    assert.ok(Math.abs(deviation / (0.01 * bound) - 1) < 0.1);
    assert.deepEqual(aggregate({ rule: "flame", lambda: 0.01 }, deltas).delta, noisy.delta);
  });
});

describe("rules that cannot do what they are asked", () => {
  it("refuse a root or history that does not fit", () => {
    const deltas = rows([1, 2], [3, 4], [5, 6]);
    for (const root of [[0, 0], [1], [1, 2, 3]]) {
      assert.throws(() => aggregate({ rule: "fltrust", root: Float32Array.from(root) }, deltas), input);
    }
    assert.throws(() => aggregate({ rule: "fltrust", root: "round" }, deltas), input);
    assert.deepEqual(
      aggregate({ rule: "fltrust", root: "round" }, deltas, { root: Float32Array.of(1, 1) }).selected,
      [0, 1, 2],
    );
    assert.throws(() => aggregate({ rule: "foolsgold", history: rows([1, 2]) }, deltas), input);
    assert.throws(() => aggregate({ rule: "foolsgold", history: rows([1], [2], [3]) }, deltas), input);
    const merged = { rule: "foolsgold", history: deltas, before: [{ rule: "bucketing", s: 2 }] } as const;
    assert.throws(() => aggregate(merged, deltas), input);
  });

  it("refuse layers that do not add up to the update", () => {
    const deltas = gaussianRows(1, 7, 10);
    for (const layers of [undefined, [], [4], [4, 7], [4, 6, 0], [4.5, 5.5], [-1, 11]]) {
      const options = layers === undefined ? {} : { layers };
      assert.throws(() => aggregate({ rule: "krum", f: 1, layerwise: true }, deltas, options), input);
    }
  });

  it("refuse impossible f, also after updates were rejected", () => {
    const deltas = gaussianRows(1, 6, 10);
    const broken: Specification[] = [
      { rule: "caf", f: 3 },
      { rule: "dnc", f: 3 },
      { rule: "dnc", f: 2, c: 3 },
      { rule: "rlr", theta: 7 },
    ];
    for (const specification of broken) assert.throws(() => aggregate(specification, deltas), precondition);
    const rest = [...deltas.slice(0, 4), ...deltas.slice(4).map((row) => row.map((value) => 1e3 * value))];
    const before = [{ rule: "norm-reject", factor: 5 }] as const;
    for (const specification of [
      { rule: "caf", f: 2 },
      { rule: "dnc", f: 2 },
      { rule: "trimmed-mean", f: 2 },
    ] as const) {
      assert.equal(aggregate(specification, rest).rejected.length, 0);
      assert.throws(() => aggregate({ ...specification, before }, rest), precondition);
    }
    for (const rule of ["flame", "signguard"] as const) {
      assert.throws(() => aggregate({ rule }, deltas.slice(0, 2)), precondition);
    }
    assert.throws(() => aggregate({ rule: "foolsgold" }, deltas.slice(0, 1)), precondition);
  });

  it("name the neighbours that are too many", () => {
    const deltas = gaussianRows(1, 7, 10);
    for (const rule of ["krum", "multi-krum"] as const) {
      const need = coded("aggregation.precondition", /n > neighbours = 7, .*got n = 7/);
      assert.throws(() => aggregate({ rule, f: 1, neighbours: 7 }, deltas), need);
      assert.equal(aggregate({ rule, f: 1, neighbours: 6 }, deltas).scores[rule].length, 7);
    }
  });

  it("refuse a draw that keeps nobody", () => {
    const deltas = gaussianRows(1, 5, 300);
    const drawn = { rule: "dnc", f: 2, c: 2, iterations: 30, coordinates: 2 } as const;
    assert.throws(() => aggregate(drawn, deltas), precondition);
  });
});

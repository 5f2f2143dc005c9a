import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type Aggregate, aggregate } from "../../src/aggregation/aggregate.ts";
import type { Specification, Step } from "../../src/aggregation/table.ts";
import { assertClose } from "../support/rows.ts";

const DATA = new URL("data/aggregation/", import.meta.url);
const TOLERANCE = 1e-5; // results are float32

/** Parameters and results of one rule, as far as the file has them. */
interface Expected {
  f: number;
  c: number;
  m: number;
  s: number;
  neighbours: number;
  threshold: number;
  theta: number;
  server_update: number[];
  tau: number;
  iters: number;
  v0: number[] | "zero";
  permutation: number[];
  nu?: number;
  T?: number;
  weights?: number[];
  output?: number[];
  [member: string]: unknown;
}

interface Vector {
  n: number;
  inputs: number[][];
  expected: Record<string, Expected> & { norms: unknown };
}

interface Check {
  /** Member of expected. */
  name: string;
  specification: (expected: Expected, n: number, inputs: number[][]) => Specification;
  selected?: string;
  scores?: [step: string, member: string];
  /** Least number of cases that must hold it; 8 where absent. */
  cases?: number;
}

const nnm = (e: Expected): Step => ({ rule: "nnm", f: e.f });
const arc = (e: Expected): Step => ({ rule: "arc", f: e.f });
const clipped = (c: number | "median"): Step => ({ rule: "norm-clip", c });
const rfa = (e: Expected): Specification => ({
  rule: "geometric-median",
  smoothing: e.nu ?? 0.1,
  iterations: e.T ?? 8,
  start: e.weights === undefined ? "zero" : "mean",
});

const CHECKS: Check[] = [
  { name: "fedavg_weighted", specification: () => ({ rule: "mean" }) },
  { name: "mean", specification: () => ({ rule: "mean" }) },
  { name: "median", specification: () => ({ rule: "median" }) },
  { name: "trimmed_mean", specification: (e) => ({ rule: "trimmed-mean", f: e.f }) },
  { name: "norm_clipping_mean", specification: (e) => ({ rule: "mean", before: [clipped(e.c)] }) },
  { name: "median_norm_clipping_mean", specification: () => ({ rule: "mean", before: [clipped("median")] }) },
  {
    name: "cosine_filter_v1",
    specification: (e) => ({
      rule: "mean",
      before: [{ rule: "cosine", threshold: e.threshold }, clipped("median")],
    }),
    selected: "accepted",
    scores: ["cosine", "scores"],
  },
  { name: "meamed", specification: (e) => ({ rule: "meamed", f: e.f }) },
  { name: "krum", specification: (e) => ({ rule: "krum", f: e.f }), selected: "index", scores: ["krum", "scores"] },
  {
    name: "krum_byzfl_variant",
    specification: (e) => ({ rule: "krum", f: e.f, neighbours: e.neighbours }),
    selected: "index",
  },
  {
    name: "multi_krum_m",
    specification: (e) => ({ rule: "multi-krum", f: e.f, m: e.m }),
    selected: "selected",
  },
  {
    name: "multi_krum_byzfl_variant",
    specification: (e) => ({ rule: "multi-krum", f: e.f, m: e.m, neighbours: e.neighbours }),
    selected: "selected",
  },
  { name: "bulyan", specification: (e) => ({ rule: "bulyan", f: e.f }), selected: "selected_in_order" },
  { name: "geometric_median_exact", specification: () => ({ rule: "geometric-median" }) },
  { name: "geometric_median_exact_weighted", specification: () => ({ rule: "geometric-median" }) },
  { name: "rfa_smoothed_weiszfeld", specification: rfa },
  {
    name: "centered_clipping",
    specification: (e) => ({
      rule: "centered-clipping",
      tau: e.tau,
      iterations: e.iters,
      start: Array.isArray(e.v0) ? Float32Array.from(e.v0) : "zero",
    }),
  },
  { name: "nnm_trimmed_mean", specification: (e) => ({ rule: "trimmed-mean", f: e.f, before: [nnm(e)] }) },
  { name: "nnm_median", specification: (e) => ({ rule: "median", before: [nnm(e)] }) },
  { name: "nnm_krum", specification: (e) => ({ rule: "krum", f: e.f, before: [nnm(e)] }) },
  { name: "nnm_rfa", specification: (e) => ({ ...rfa(e), before: [nnm(e)] }) },
  { name: "arc_mean", specification: (e) => ({ rule: "mean", before: [arc(e)] }) },
  {
    name: "arc_nnm_trimmed_mean",
    specification: (e) => ({ rule: "trimmed-mean", f: e.f, before: [arc(e), nnm(e)] }),
  },
  {
    name: "bucketing_s2_median",
    specification: (e) => ({ rule: "median", before: [{ rule: "bucketing", s: e.s, permutation: e.permutation }] }),
  },
  {
    name: "fltrust",
    specification: (e) => ({ rule: "fltrust", root: Float32Array.from(e.server_update) }),
    scores: ["fltrust", "trust_scores"],
  },
  {
    name: "foolsgold",
    specification: (_e, _n, inputs) => ({ rule: "foolsgold", history: toRows(inputs) }),
    scores: ["foolsgold", "weights"],
  },
  {
    name: "dnc_all_coordinates_c1",
    specification: (e) => ({ rule: "dnc", f: e.f, c: 1, coordinates: "all" }),
    selected: "kept",
  },
  { name: "rlr", specification: (e) => ({ rule: "rlr", theta: e.theta }) },
  { name: "mda", specification: (e) => ({ rule: "mda", f: e.f }), selected: "selected", cases: 5 }, // small n only
];

const files = readdirSync(DATA).filter((name) => name.startsWith("agg_"));
const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, DATA), "utf8")) as T;
const toRows = (inputs: number[][]): Float32Array[] => inputs.map((row) => Float32Array.from(row));

/** The members that a check stands for: its name, or its name and parameters. */
function membersOf(check: Check, expected: Vector["expected"]): string[] {
  const own = new Set(CHECKS.map(({ name }) => name));
  return Object.keys(expected).filter((key) =>
    own.has(key) ? key === check.name : key.startsWith(check.name) && !key.startsWith("geometric"),
  );
}

function compare(result: Aggregate, check: Check, expected: Expected): void {
  if (expected.output !== undefined) assertClose(result.delta, expected.output, TOLERANCE);
  if (check.selected !== undefined) {
    assert.deepEqual(
      result.selected,
      [expected[check.selected] as number | number[]].flat().toSorted((a, b) => a - b),
    );
  }
  if (check.scores !== undefined) {
    const [step, member] = check.scores;
    assertClose(result.scores[step] as number[], expected[member] as number[], (expected.tolerance as number) ?? 1e-6);
  }
}

describe("aggregation vectors", () => {
  assert.ok(files.length >= 9, "the vector files are there");
  for (const check of CHECKS) {
    it(`agree on ${check.name}`, () => {
      let count = 0;
      for (const file of files) {
        const vector = read<Vector>(file);
        for (const member of membersOf(check, vector.expected)) {
          const expected = vector.expected[member];
          const specification = check.specification(expected, vector.n, vector.inputs);
          const options = expected.weights === undefined ? {} : { weights: expected.weights };
          compare(aggregate(specification, toRows(vector.inputs), options), check, expected);
          count++;
        }
      }
      assert.ok(count >= (check.cases ?? 8), `${check.name} was found in ${count} files only`);
    });
  }

  it("agree on the norms", () => {
    for (const file of files) {
      const { inputs, expected } = read<Vector>(file);
      assertClose(
        aggregate({ rule: "mean" }, toRows(inputs)).scores.norm as number[],
        expected.norms as number[],
        1e-9,
      );
    }
  });
});

// Specifications that run all rules and steps.

import type { Specification } from "../../src/aggregation/table.ts";

/** Every rule with parameters that hold for n updates of which one lies. */
export function everySpecification(n: number): Specification[] {
  return [
    { rule: "mean" },
    { rule: "median" },
    { rule: "trimmed-mean", f: 1 },
    { rule: "meamed", f: 1 },
    { rule: "krum", f: 1 },
    { rule: "multi-krum", f: 1 },
    { rule: "bulyan", f: Math.min(1, Math.floor((n - 3) / 4)) },
    { rule: "geometric-median" },
    { rule: "geometric-median", smoothing: 0.1, iterations: 8, start: "zero" },
    { rule: "centered-clipping", tau: 1, iterations: 3, start: "zero" },
    { rule: "mda", f: 1 },
    { rule: "caf", f: 1 },
    { rule: "dnc", f: 1 },
    { rule: "dnc", f: 1, iterations: 2, coordinates: 1 },
    { rule: "rlr", theta: 3 },
    { rule: "flame", lambda: 0 },
    { rule: "signguard" },
    { rule: "krum", f: 1, layerwise: true },
    { rule: "median", before: [{ rule: "nnm", f: 1, layerwise: true }] },
    { rule: "mean", before: [{ rule: "norm-clip", c: "median" }] },
    { rule: "mean", before: [{ rule: "norm-reject", factor: 5 }] },
    { rule: "mean", before: [{ rule: "cosine", threshold: -1, reference: "others" }] },
    { rule: "median", before: [{ rule: "nnm", f: 1 }] },
    { rule: "median", before: [{ rule: "arc", f: 1 }] },
    { rule: "median", before: [{ rule: "bucketing", s: 2 }] },
  ];
}

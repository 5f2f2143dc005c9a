// FoolsGold. Gives less weight to devices whose updates look alike over the rounds: sybils share a goal, honest devices
// differ. Assumes what other rules forbid: that honest updates are far from one another.

import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { list } from "../../core/shape.ts";
import type { Engine } from "../../math/engine.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { plainRows, type Rows } from "../../math/rows.ts";
import { cosines } from "../angles.ts";
import { makeBatch } from "../batch.ts";
import { atLeastPaired, vector } from "../parameter.ts";
import type { Batch, Rule } from "../rule.ts";
import { optional } from "../rule.ts";

export interface FoolsgoldParameters {
  readonly history?: readonly Float32Array[];
}

const LARGEST = 0.99; // a weight of 1 has no finite logit

export const foolsgold: Rule<FoolsgoldParameters> = {
  name: "foolsgold",
  summary: "Mean weighted by how little each device's history resembles another's; its scores are the weights.",
  source: "Fung et al., The Limitations of Federated Learning in Sybil Settings, RAID 2020",
  parameters: {
    history: optional(
      list(vector(), 1, LIMITS.devicesPerRoundMax),
      "for each update the sum of all that its device sent, this one included; the updates themselves where absent",
    ),
  },
  weights: "ignored",
  complexity: "n^2 D",
  limits:
    "A single liar, noise, free riders: whoever is unlike the others. Honest devices with like data lose their say.",
  requirement: () => atLeastPaired(2, "n >= 2"),
  combine: (engine, batch, { history }) => {
    const scores = [...unlikeness(engine, history === undefined ? batch : historyOf(engine, batch, history))];
    const sum = scores.reduce((a, b) => a + b, 0);
    // All alike: there is nobody to believe.
    if (sum === 0) return { delta: new Float32Array(batch.rows.length), selected: [], scores };
    const delta = engine.map("rowsSum", batch.rows, { weights: scores.map((score) => score / sum) });
    return { delta, selected: scores.flatMap((score, row) => (score > 0 ? [row] : [])), scores };
  },
};

function historyOf(engine: Engine, batch: Batch, history: readonly Float32Array[]): Batch {
  const length = batch.rows.length;
  if (history.some((past) => past.length !== length) || batch.members.some(([index]) => index >= history.length)) {
    throw new QflareError("aggregation.input", `expected a history of ${length} values for each update`);
  }
  if (batch.members.some((indices) => indices.length !== 1)) {
    throw new QflareError("aggregation.input", "expected single updates: bucketing has none that a history belongs to");
  }
  const rows: Rows = plainRows(
    batch.members.map(([index]) => history[index]),
    length,
  );
  return makeBatch(engine, rows, batch.members);
}

/** Weights from 0 (the same as another) to 1. */
function unlikeness(engine: Engine, batch: Batch): Float64Array {
  const n = batch.members.length;
  const alike = cosines(squaredDistances(engine, batch.rows, batch.norms), batch.norms);
  for (let i = 0; i < n; i++) alike[i * n + i] = 0;
  const most = Float64Array.from({ length: n }, (_, i) => Math.max(...alike.subarray(i * n, (i + 1) * n)));
  const weights = Float64Array.from({ length: n }, (_, i) => {
    let largest = 0;
    for (let j = 0; j < n; j++) {
      // Pardoning: an honest device that resembles a sybil resembles it less than the sybils one another.
      const pardon = most[i] < most[j] ? most[i] / most[j] : 1;
      largest = Math.max(largest, alike[i * n + j] * pardon);
    }
    return Math.min(1, Math.max(0, 1 - largest));
  });
  const top = weights.reduce((a, b) => Math.max(a, b), 0);
  return top === 0 ? weights : weights.map((weight) => stretched(weight / top));
}

/** Logit plus a half, cut to [0, 1]. */
function stretched(weight: number): number {
  const w = Math.min(weight, LARGEST);
  return Math.min(1, Math.max(0, Math.log(w / (1 - w)) + 0.5));
}

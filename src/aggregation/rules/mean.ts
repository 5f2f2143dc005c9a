// Weighted mean (FedAvg). Exact for honest devices; a single update moves it anywhere.

import { weightedSum } from "../../math/vector.ts";
import { everyRow } from "../batch.ts";
import { atLeast } from "../parameter.ts";
import type { Rule } from "../rule.ts";

export type MeanParameters = Record<never, never>;

export const mean: Rule<MeanParameters> = {
  name: "mean",
  summary: "Sum of weight times update over the sum of the weights.",
  source: "McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017",
  parameters: {},
  weights: "used",
  complexity: "n D",
  limits: "Everything: no defence by itself. Put filters before it.",
  requirement: () => atLeast(1, "n >= 1"),
  combine: (reducer, batch) => {
    const sum = batch.weights.reduce((a, b) => a + b, 0);
    const shares = batch.weights.map((weight) => weight / sum);
    return { delta: weightedSum(reducer, batch.rows, shares, batch.length), selected: everyRow(batch) };
  },
};

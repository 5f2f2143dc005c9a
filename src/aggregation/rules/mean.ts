// Weighted mean (FedAvg). Exact for honest devices; a single update moves it anywhere.

import { shares } from "../affine.ts";
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
  combine: (engine, batch) => {
    const delta = engine.map("rowsSum", batch.rows, { weights: shares(batch.weights) });
    return { delta, selected: everyRow(batch) };
  },
};

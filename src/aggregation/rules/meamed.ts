// Mean around the median. Keeps the n - f values of each coordinate that lie nearest to its median.

import { everyRow } from "../batch.ts";
import { atLeast, liars } from "../parameter.ts";
import type { Rule } from "../rule.ts";

export interface MeamedParameters {
  readonly f: number;
}

export const meamed: Rule<MeamedParameters> = {
  name: "meamed",
  summary: "Mean of the n - f values of each coordinate that lie nearest to its median.",
  source: "Xie et al., Generalized Byzantine-tolerant SGD, 2018",
  parameters: { f: liars() },
  weights: "ignored",
  complexity: "n log(n)^2 D",
  limits: "Shifts within the honest spread (ALIE).",
  requirement: ({ f }) => atLeast(2 * f + 1, "n > 2f"),
  combine: (engine, batch, { f }) => ({
    delta: engine.map("meanAroundMedian", batch.rows, { kept: batch.members.length - f }),
    selected: everyRow(batch),
  }),
};

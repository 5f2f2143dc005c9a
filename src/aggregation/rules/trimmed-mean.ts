// Trimmed mean. Drops the f smallest and the f largest values of each coordinate.

import { everyRow } from "../batch.ts";
import { atLeast, liars } from "../parameter.ts";
import type { Rule } from "../rule.ts";

export interface TrimmedMeanParameters {
  readonly f: number;
}

export const trimmedMean: Rule<TrimmedMeanParameters> = {
  name: "trimmed-mean",
  summary: "Mean of each coordinate without its f smallest and f largest values.",
  source: "Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018",
  parameters: { f: liars() },
  weights: "ignored",
  complexity: "n log(n)^2 D",
  limits: "Shifts within the honest spread (ALIE). Put nnm before it where the devices' data differ.",
  requirement: ({ f }) => atLeast(2 * f + 1, "n > 2f"),
  combine: (engine, batch, { f }) => ({
    delta: engine.map("trimmedMean", batch.rows, { f }),
    selected: everyRow(batch),
  }),
};

// Coordinate median. Each coordinate stays within the honest range while liars are fewer than half.

import { everyRow } from "../batch.ts";
import { atLeast } from "../parameter.ts";
import type { Rule } from "../rule.ts";

export type MedianParameters = Record<never, never>;

export const median: Rule<MedianParameters> = {
  name: "median",
  summary: "Median of each coordinate; the mean of the two middle values where n is even.",
  source: "Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018",
  parameters: {},
  weights: "ignored",
  complexity: "n log(n)^2 D",
  limits: "Shifts within the honest spread (ALIE). Loses accuracy where the devices' data differ much.",
  requirement: () => atLeast(1, "n >= 1; robust against f < n / 2"),
  combine: (engine, batch) => ({
    delta: engine.map("coordinateMedian", batch.rows, {}),
    selected: everyRow(batch),
  }),
};

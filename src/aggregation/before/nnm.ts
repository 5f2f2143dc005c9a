// Nearest-neighbour mixing. Each update becomes the mean of the n - f updates nearest to it, itself included: honest
// ones move together, and a liar is mixed with honest ones.

import { squaredDistances } from "../../math/pairs.ts";
import { blended, everyRow } from "../batch.ts";
import { nearest } from "../neighbours.ts";
import { atLeastPaired, liars } from "../parameter.ts";
import type { PreAggregator } from "../rule.ts";

export interface NnmParameters {
  readonly f: number;
}

export const nnm: PreAggregator<NnmParameters> = {
  name: "nnm",
  summary: "Replaces each update by the mean of the n - f updates nearest to it.",
  source: "Allouah et al., Fixing by Mixing: A Recipe for Optimal Byzantine ML under Heterogeneity, AISTATS 2023",
  parameters: { f: liars() },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D",
  limits: "By itself everything: it needs a robust rule behind it. Loses classes that only f devices hold.",
  requirement: ({ f }) => atLeastPaired(2 * f + 1, "n > 2f"),
  prepare: (engine, batch, { f }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const size = distances.count - f;
    const weights = new Array<number>(size).fill(1 / size);
    const blends = everyRow(batch).map((row) => ({ of: nearest(distances, row, size), weights }));
    return { batch: blended(engine, batch, blends), rejected: [] };
  },
};

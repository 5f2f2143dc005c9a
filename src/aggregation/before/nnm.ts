// Nearest-neighbour mixing. Each update becomes the mean of the n - f updates nearest to it, itself included: honest
// ones move together, and a liar is mixed with honest ones.

import { squaredDistances } from "../../math/pairs.ts";
import { weightedSums } from "../../math/vector.ts";
import { everyRow, replaced } from "../batch.ts";
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
  complexity: "n^2 D",
  limits: "By itself everything: it needs a robust rule behind it. Loses classes that only f devices hold.",
  requirement: ({ f }) => atLeastPaired(2 * f + 1, "n > 2f"),
  prepare: (reducer, batch, { f }) => {
    const distances = squaredDistances(reducer, batch.rows, batch.length);
    const size = batch.rows.length - f;
    const weights = everyRow(batch).map((row) => {
      const shares = new Float32Array(batch.rows.length);
      for (const near of nearest(distances, row, size)) shares[near] = 1 / size;
      return shares;
    });
    return { batch: replaced(reducer, batch, weightedSums(reducer, batch.rows, weights, batch.length)), rejected: [] };
  },
};

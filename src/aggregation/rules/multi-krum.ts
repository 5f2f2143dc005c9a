// Multi-Krum. Mean of the m updates with the best Krum scores of one pass.

import { squaredDistances } from "../../math/pairs.ts";
import { ascending, everyRow, meanOf } from "../batch.ts";
import { beyond, krumScores } from "../neighbours.ts";
import { atLeastPaired, liars, updatesCount } from "../parameter.ts";
import type { Rule } from "../rule.ts";
import { optional } from "../rule.ts";

export interface MultiKrumParameters {
  readonly f: number;
  readonly m?: number;
  readonly neighbours?: number;
}

export const multiKrum: Rule<MultiKrumParameters> = {
  name: "multi-krum",
  summary: "Mean of the m updates with the least sums of squared distances to their nearest neighbours.",
  source: "Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017",
  parameters: {
    f: liars(),
    m: optional(updatesCount(1), "how many are averaged; n - f where absent"),
    neighbours: optional(updatesCount(1), "how many count for a score; n - f - 2 where absent"),
  },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D",
  limits: "Lies hidden in few coordinates of a large model. More than n - f averaged lets liars in.",
  requirement: ({ f, m = 0, neighbours = 0 }) =>
    atLeastPaired(Math.max(2 * f + 3, m, neighbours + 1), `n >= 2f + 3 and n >= m${beyond(neighbours)}`),
  combine: (engine, batch, { f, m = batch.members.length - f, neighbours = batch.members.length - f - 2 }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const scores = krumScores(distances, everyRow(batch), neighbours);
    const selected = ascending(scores).slice(0, m);
    return { delta: meanOf(engine, batch, selected), selected, scores };
  },
};

// Krum. Picks the one update nearest to its neighbours. Safe while 2f + 2 < n; slow to learn, because the work of all
// other devices is thrown away.

import { squaredDistances } from "../../math/pairs.ts";
import { ascending, everyRow, meanOf } from "../batch.ts";
import { beyond, krumScores } from "../neighbours.ts";
import { atLeastPaired, liars, updatesCount } from "../parameter.ts";
import type { Rule } from "../rule.ts";
import { optional } from "../rule.ts";

export interface KrumParameters {
  readonly f: number;
  readonly neighbours?: number;
}

export const krum: Rule<KrumParameters> = {
  name: "krum",
  summary: "The update with the least sum of squared distances to its nearest neighbours.",
  source: "Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017",
  parameters: { f: liars(), neighbours: optional(updatesCount(1), "how many count; n - f - 2 where absent") },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D",
  limits: "Lies hidden in few coordinates of a large model. Collapses where devices hold different classes.",
  requirement: ({ f, neighbours = 0 }) =>
    atLeastPaired(Math.max(2 * f + 3, neighbours + 1), `n >= 2f + 3${beyond(neighbours)}`),
  combine: (engine, batch, { f, neighbours = batch.members.length - f - 2 }) => {
    const distances = squaredDistances(engine, batch.rows, batch.norms);
    const scores = krumScores(distances, everyRow(batch), neighbours);
    const [best] = ascending(scores);
    return { delta: meanOf(engine, batch, [best]), selected: [best], scores };
  },
};

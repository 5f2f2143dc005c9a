// Leaves out updates that point away from the others: sign flips, noise. The reference is the coordinate median of the
// updates, each clipped to the median norm, so that neither length nor a minority of liars turns it.

import { float } from "../../core/shape.ts";
import { coordinateMedian } from "../../math/select.ts";
import { cosine as angle, dot, norm } from "../../math/vector.ts";
import { clipFactors, filtered, median } from "../batch.ts";
import { atLeast } from "../parameter.ts";
import type { PreAggregator } from "../rule.ts";
import { required } from "../rule.ts";

export interface CosineParameters {
  readonly threshold: number;
}

export const cosine: PreAggregator<CosineParameters> = {
  name: "cosine",
  summary:
    "Rejects updates whose cosine with the coordinate median is under the threshold; its scores are the cosines.",
  source: "QFLARE",
  parameters: { threshold: required(float(-1, 1), "least cosine that is accepted; a zero update has 0") },
  weights: "ignored",
  complexity: "n log(n)^2 D",
  limits: "Shifts within the honest spread (ALIE), backdoors, copies of honest updates. Half the devices lying.",
  requirement: () => atLeast(3, "n >= 3; robust against f < n / 2"),
  prepare: (reducer, batch, { threshold }) => {
    const factors = clipFactors(batch.norms, median(batch.norms));
    const reference = coordinateMedian(reducer, batch.rows, batch.length, factors);
    const size = norm(reducer, reference);
    const scores = batch.rows.map((row, i) => angle(dot(reducer, row, reference), batch.norms[i], size));
    return { ...filtered(batch, (row) => scores[row] >= threshold, "update.cosine"), scores };
  },
};

// Leaves out updates that are far longer than the middle one: boosted ones and overflows.

import { float } from "../../core/shape.ts";
import { filtered, median } from "../batch.ts";
import { atLeast } from "../parameter.ts";
import type { PreAggregator } from "../rule.ts";
import { required } from "../rule.ts";

export interface NormRejectParameters {
  readonly factor: number;
}

export const normReject: PreAggregator<NormRejectParameters> = {
  name: "norm-reject",
  summary: "Rejects updates whose norm exceeds factor times the median norm.",
  source: "QFLARE",
  parameters: { factor: required(float(1, 1e6), "how many median norms are allowed") },
  weights: "ignored",
  complexity: "n",
  limits: "Anything of an ordinary length. Half the devices lying.",
  requirement: () => atLeast(1, "n >= 1; robust against f < n / 2"),
  prepare: (engine, batch, { factor }) => {
    const bound = factor * median(batch.norms);
    return filtered(engine, batch, (row) => batch.norms[row] <= bound, "update.norm");
  },
};

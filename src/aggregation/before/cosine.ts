// Leaves out updates that point away from the others: sign flips, noise. The reference is a coordinate median of the
// updates, each clipped to the median norm, so that neither length nor a minority of liars turns it.

import { float, oneOf } from "../../core/shape.ts";
import type { Engine } from "../../math/engine.ts";
import { withRow } from "../../math/rows.ts";
import { cosine as angle } from "../../math/vector.ts";
import { clipFactors, filtered, median } from "../batch.ts";
import { atLeast } from "../parameter.ts";
import type { Batch, PreAggregator } from "../rule.ts";
import { optional, required } from "../rule.ts";

export interface CosineParameters {
  readonly threshold: number;
  readonly reference?: "all" | "others";
}

export const cosine: PreAggregator<CosineParameters> = {
  name: "cosine",
  summary:
    "Rejects updates whose cosine with the coordinate median is under the threshold; its scores are the cosines.",
  source: "QFLARE",
  parameters: {
    threshold: required(float(-1, 1), "least cosine that is accepted; a zero update has 0"),
    reference: optional(
      oneOf("all", "others"),
      "median of all updates, or of all but the one that is judged; all where absent",
    ),
  },
  weights: "ignored",
  complexity: "n log(n)^2 D",
  limits: "Shifts within the honest spread (ALIE), backdoors, copies of honest updates. Half the devices lying.",
  requirement: () => atLeast(3, "n >= 3; robust against f < n / 2"),
  prepare: (engine, batch, { threshold, reference = "all" }) => {
    const scales = clipFactors(batch.norms, median(batch.norms));
    const scores = reference === "all" ? withAll(engine, batch, scales) : withOthers(engine, batch, scales);
    return { ...filtered(engine, batch, (row) => scores[row] >= threshold, "update.cosine"), scores };
  },
};

function withAll(engine: Engine, { rows, norms }: Batch, scales: readonly number[]): number[] {
  const both = withRow(rows, engine.map("coordinateMedian", rows, { scales }));
  const products = engine.sum("dots", both, {});
  const size = Math.sqrt(products.at(-1)!);
  return norms.map((own, row) => angle(products[row], own, size));
}

/**
 * With few updates of many values, each one's own say in the median is most of its cosine: of ten updates pure noise
 * reaches 0.2 and sign-flipped ones as much.
 */
function withOthers(engine: Engine, { rows, norms }: Batch, scales: readonly number[]): number[] {
  const products = engine.sum("otherProducts", rows, { scales });
  return norms.map((own, row) => angle(products[2 * row], own, Math.sqrt(products[2 * row + 1])));
}

// Shortens long updates. Bounds what one update can do to a mean; before a distance rule it hides outliers instead.

import { float } from "../../core/shape.ts";
import { clipFactors, median, scaled } from "../batch.ts";
import { atLeast, orNamed } from "../parameter.ts";
import type { PreAggregator } from "../rule.ts";
import { required } from "../rule.ts";

export interface NormClipParameters {
  readonly c: number | "median";
}

export const normClip: PreAggregator<NormClipParameters> = {
  name: "norm-clip",
  summary: "Scales every update x by min(1, c / |x|); its scores are the factors.",
  source: "Sun et al., Can You Really Backdoor Federated Learning?, 2019",
  parameters: { c: required(orNamed(float(0), "median"), "largest norm, or the median of the norms") },
  weights: "ignored",
  complexity: "n D",
  limits: "Sign flips, backdoors of ordinary length. Do not put it before krum, multi-krum, bulyan, nnm or mda.",
  requirement: () => atLeast(1, "n >= 1"),
  prepare: (engine, batch, parameters) => {
    const c = parameters.c === "median" ? median(batch.norms) : parameters.c;
    const scores = clipFactors(batch.norms, c);
    return { batch: scaled(engine, batch, scores), rejected: [], scores };
  },
};

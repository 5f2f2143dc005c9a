// Robust learning rate. Turns the step around in coordinates on whose sign too few devices agree: that is where a
// minority writes a backdoor.

import { LIMITS } from "../../core/limits.ts";
import { float } from "../../core/shape.ts";
import { shares } from "../affine.ts";
import { everyRow } from "../batch.ts";
import { atLeast } from "../parameter.ts";
import type { Rule } from "../rule.ts";
import { required } from "../rule.ts";

export interface RlrParameters {
  readonly theta: number;
}

export const rlr: Rule<RlrParameters> = {
  name: "rlr",
  summary: "Weighted mean, with its sign turned in coordinates where |sum of signs| < theta.",
  source: "Ozdayi et al., Defending Against Backdoors in Federated Learning with Robust Learning Rate, AAAI 2021",
  parameters: {
    theta: required(float(0, LIMITS.devicesPerRoundMax), "least |sum of signs| that is agreement; above 2f"),
  },
  weights: "used",
  complexity: "n D",
  limits: "Long updates: put norm-clip before it. Slows down coordinates where honest devices differ.",
  requirement: ({ theta }) => atLeast(Math.max(1, Math.ceil(theta)), "n >= theta"),
  combine: (engine, batch, { theta }) => {
    const delta = engine.map("rowsSum", batch.rows, { weights: shares(batch.weights) });
    const signs = engine.map("signSums", batch.rows, {});
    for (let i = 0; i < delta.length; i++) if (Math.abs(signs[i]) < theta) delta[i] = 0 - delta[i];
    return { delta, selected: everyRow(batch) };
  },
};

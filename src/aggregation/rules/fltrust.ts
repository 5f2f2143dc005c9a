// FLTrust. Compares every update with one that the server made from data it trusts; holds also where most devices lie.

import { QflareError } from "../../core/error.ts";
import type { Engine } from "../../math/engine.ts";
import { withRow } from "../../math/rows.ts";
import { cosine } from "../../math/vector.ts";
import { atLeast, orNamed, vector } from "../parameter.ts";
import type { Batch, Rule } from "../rule.ts";
import { required } from "../rule.ts";

/** No float32 brings an update to a norm further off: what is so short, as beside any root of use, has no direction. */
const STRETCH_MAX = 2 ** 120;

export interface FltrustParameters {
  readonly root: Float32Array | "round";
}

export const fltrust: Rule<FltrustParameters> = {
  name: "fltrust",
  summary:
    "Mean of updates brought to the root's norm, weighted by max(0, cosine with the root); its scores are the weights.",
  source: "Cao et al., FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping, NDSS 2021",
  parameters: {
    root: required(
      orNamed(vector(), "round"),
      "update of data that are trusted, not zero; round: the one that is handed in with the round's updates",
    ),
  },
  weights: "ignored",
  complexity: "n D",
  limits: "Lies within the angle of honest updates. Devices whose data the root does not resemble lose their say.",
  requirement: () => atLeast(1, "n >= 1; a trusted update, whatever f"),
  combine: (engine, batch, { root }) => {
    if (root === "round") throw new QflareError("aggregation.input", "fltrust: expected a root with the updates");
    const scores = trust(engine, batch, root);
    const sum = scores.reduce((a, b) => a + b, 0);
    // Nobody points the root's way: the model stays as it is.
    if (sum === 0) return { delta: new Float32Array(batch.rows.length), selected: [], scores };
    const size = normOf(root);
    const weights = scores.map((score, row) => (score === 0 ? 0 : ((score / sum) * size) / batch.norms[row]));
    const delta = engine.map("rowsSum", batch.rows, { weights });
    return { delta, selected: scores.flatMap((score, row) => (score > 0 ? [row] : [])), scores };
  },
};

function trust(engine: Engine, batch: Batch, root: Float32Array): number[] {
  if (root.length !== batch.rows.length) {
    throw new QflareError("aggregation.input", `expected a root of ${batch.rows.length} values, got ${root.length}`);
  }
  const products = engine.sum("dots", withRow(batch.rows, root), {});
  const size = Math.sqrt(products.at(-1)!);
  if (size === 0) throw new QflareError("aggregation.input", "expected a root that is not zero");
  return batch.norms.map((own, row) => {
    const isTooShort = size / own > STRETCH_MAX;
    return isTooShort ? 0 : Math.max(0, cosine(products[row], own, size));
  });
}

function normOf(x: Float32Array): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}

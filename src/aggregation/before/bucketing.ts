// Bucketing. Means of groups of s updates, so that a rule behind it sees less difference between honest inputs. Each
// liar spoils its whole group: s f must stay under half of n.

import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { list, uint } from "../../core/shape.ts";
import { PseudoRandom } from "../../math/random.ts";
import { blendRows } from "../../math/rows.ts";
import { everyRow, makeBatch, seedOf } from "../batch.ts";
import { atLeast, orNamed, updatesCount } from "../parameter.ts";
import type { Batch, PreAggregator } from "../rule.ts";
import { optional, required } from "../rule.ts";

export interface BucketingParameters {
  readonly s: number;
  readonly permutation?: number[] | "drawn";
}

export const bucketing: PreAggregator<BucketingParameters> = {
  name: "bucketing",
  summary: "Replaces the updates by the means of consecutive groups of s; the last group may be smaller.",
  source: "Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR 2022",
  parameters: {
    s: required(updatesCount(1), "updates a group"),
    permutation: optional(
      orNamed(list(uint(0, LIMITS.devicesPerRoundMax - 1), 1, LIMITS.devicesPerRoundMax), "drawn"),
      "order of the updates that are left; as they come where absent; drawn: from the last digits of all norms",
    ),
  },
  weights: "ignored",
  complexity: "n D",
  limits: "By itself everything: it needs a robust rule behind it.",
  requirement: () => atLeast(1, "n >= 1"),
  rowsLeft: (rows, { s }) => Math.ceil(rows / s),
  prepare: (engine, batch, { s, permutation }) => {
    const order = orderOf(batch, permutation);
    const groups: number[][] = [];
    for (let at = 0; at < order.length; at += s) groups.push(order.slice(at, at + s));
    const blends = groups.map((of) => ({ of, weights: of.map(() => 1 / of.length) }));
    const members = groups.map((group) => group.flatMap((row) => batch.members[row]));
    return { batch: makeBatch(engine, blendRows(batch.rows, blends), members), rejected: [] };
  },
};

function orderOf(batch: Batch, permutation: BucketingParameters["permutation"]): number[] {
  if (permutation === undefined) return everyRow(batch);
  if (permutation === "drawn") {
    return [...new PseudoRandom(seedOf(batch.norms), "bucketing").permutation(batch.members.length)];
  }
  checkPermutation(batch, permutation);
  return permutation;
}

function checkPermutation(batch: Batch, permutation: readonly number[]): void {
  const n = batch.members.length;
  const each = new Set(permutation);
  if (permutation.length !== n || each.size !== n || permutation.some((row) => row >= n)) {
    throw new QflareError("aggregation.input", `expected a permutation of the ${n} updates that are left`);
  }
}

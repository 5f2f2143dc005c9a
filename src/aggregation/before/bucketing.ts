// Bucketing. Means of groups of s updates, so that a rule behind it sees less difference between honest inputs. Each
// liar spoils its whole group: s f must stay under half of n.

import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { list, uint } from "../../core/shape.ts";
import { norm, weightedSum } from "../../math/vector.ts";
import { everyRow } from "../batch.ts";
import { atLeast, updatesCount } from "../parameter.ts";
import type { Batch, PreAggregator } from "../rule.ts";
import { optional, required } from "../rule.ts";

export interface BucketingParameters {
  readonly s: number;
  readonly permutation?: number[];
}

export const bucketing: PreAggregator<BucketingParameters> = {
  name: "bucketing",
  summary: "Replaces the updates by the means of consecutive groups of s; the last group may be smaller.",
  source: "Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR 2022",
  parameters: {
    s: required(updatesCount(1), "updates a group"),
    permutation: optional(
      list(uint(0, LIMITS.devicesPerRoundMax - 1), 1, LIMITS.devicesPerRoundMax),
      "order of the updates that are left; as they come where absent. Drawn at random after they are fixed",
    ),
  },
  weights: "ignored",
  complexity: "n D",
  limits: "By itself everything: it needs a robust rule behind it.",
  requirement: () => atLeast(1, "n >= 1"),
  prepare: (reducer, batch, { s, permutation = everyRow(batch) }) => {
    checkPermutation(batch, permutation);
    const groups: number[][] = [];
    for (let at = 0; at < permutation.length; at += s) groups.push(permutation.slice(at, at + s));
    const rows = groups.map((group) => {
      const members = group.map((row) => batch.rows[row]);
      return weightedSum(
        reducer,
        members,
        members.map(() => 1 / members.length),
        batch.length,
      );
    });
    const merged: Batch = {
      length: batch.length,
      rows,
      norms: rows.map((row) => norm(reducer, row)),
      weights: groups.map((group) => group.reduce((sum, row) => sum + batch.weights[row], 0)),
      members: groups.map((group) => group.flatMap((row) => batch.members[row])),
    };
    return { batch: merged, rejected: [] };
  },
};

function checkPermutation(batch: Batch, permutation: readonly number[]): void {
  const n = batch.rows.length;
  const each = new Set(permutation);
  if (permutation.length !== n || each.size !== n || permutation.some((row) => row >= n)) {
    throw new QflareError("aggregation.input", `expected a permutation of the ${n} updates that are left`);
  }
}

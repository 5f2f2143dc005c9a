// What happens to the updates of a round inside the enclave, in this order: example count, length, finite, norm cap,
// the filters of the policy, the weight cap among those that are left, the rule. Every update gets a verdict.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Reducer } from "../math/reducer.ts";
import type { Aggregate } from "./aggregate.ts";
import { aggregate } from "./aggregate.ts";
import type { Policy } from "./policy.ts";
import type { Reason } from "./rule.ts";
import type { Specification } from "./table.ts";

export interface Update {
  /** Local minus global model. */
  readonly delta: Float32Array;
  /** Examples that the device claims to have trained on. */
  readonly examples: number;
}

export interface Report {
  /** "passed over": usable, but the rule did not choose it. */
  readonly verdict: "accepted" | "rejected" | "passed over";
  readonly reason: Reason | null;
  /** Euclidean norm; null where it is not finite or was not measured. */
  readonly norm: number | null;
  /** Against the coordinate median; null where the policy does not measure it or the update was out before. */
  readonly cosine: number | null;
  /** What the rule made of it, where it scores. */
  readonly score: number | null;
  /** Capped number of examples; 0 where the update was rejected. */
  readonly weight: number;
}

export interface Defended {
  readonly delta: Float32Array<ArrayBuffer>;
  /** Number of updates that entered the delta. */
  readonly accepted: number;
  /** In the order of the updates. */
  readonly reports: readonly Report[];
  /** What was run: of a preset, the specification that it stood for in this round. */
  readonly specification: Specification;
}

export interface DefendOptions {
  /** Values of each layer of the model: what layerwise rules need. */
  readonly layers?: readonly number[];
  /** Update of trusted data, for `{ rule: "fltrust", root: "round" }`. */
  readonly root?: Float32Array;
  readonly reducer?: Reducer;
}

/**
 * updates: one for each device (whoever calls has dropped duplicates), in an order that no device chooses, such as
 * ascending device identifiers: the result must not depend on who was first. length: values of the model.
 * Throws aggregation.precondition where too few are left, aggregation.input where there are none.
 */
export function defend(
  policy: Policy,
  updates: readonly Update[],
  length: number,
  options: DefendOptions = {},
): Defended {
  const usable = updates.map((_, i) => i).filter((i) => isCount(updates[i].examples));
  requireUpdates(policy, usable.length);
  const result = aggregate(
    policy.aggregation,
    usable.map((i) => updates[i].delta),
    {
      ...options,
      weights: usable.map((i) => updates[i].examples),
      weightCap: policy.weight_cap,
      length,
      normMax: policy.norm_max,
    },
  );
  requireUpdates(policy, result.selected.length);
  const reports = updates.map((): Report => refused("update.examples"));
  for (const [i, report] of reportsOf(result).entries()) reports[usable[i]] = report;
  const { delta, selected, specification } = result;
  return { delta, accepted: selected.length, reports, specification };
}

export function isCount(examples: number): boolean {
  return Number.isSafeInteger(examples) && examples >= 1 && examples <= LIMITS.examplesMax;
}

export function requireUpdates(policy: Policy, count: number): void {
  if (count < policy.updates_min) {
    throw new QflareError("aggregation.precondition", `expected at least ${policy.updates_min} updates, got ${count}`);
  }
}

export function refused(reason: Reason): Report {
  return { verdict: "rejected", reason, norm: null, cosine: null, score: null, weight: 0 };
}

function reportsOf({ scores, weights, selected, rejected, specification }: Aggregate): Report[] {
  const reports = weights.map(
    (weight, i): Report => ({
      verdict: "passed over",
      reason: null,
      norm: scores.norm?.[i] ?? null,
      cosine: scores.cosine?.[i] ?? null,
      score: scores[specification.rule]?.[i] ?? null,
      weight,
    }),
  );
  for (const i of selected) reports[i] = { ...reports[i], verdict: "accepted" };
  for (const { index, reason } of rejected) {
    reports[index] = { ...reports[index], verdict: "rejected", reason, weight: 0 };
  }
  return reports;
}

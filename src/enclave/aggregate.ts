// From the opened updates of a round to new parameters and verdicts.

import { type Defended, defend } from "../aggregation/defence.ts";
import { type Policy as Defence, readPolicy } from "../aggregation/policy.ts";
import { choiceText } from "../aggregation/specification.ts";
import { QflareError } from "../core/error.ts";
import { layersOfModel } from "../wire/model.ts";
import type { Policy } from "../wire/policy.ts";
import type { Verdict } from "../wire/report.ts";
import type { EnclaveRound, KeptUpdate } from "./round.ts";

export interface Outcome {
  readonly parameters: Float32Array<ArrayBuffer>;
  /** In the order of device ids. */
  readonly verdicts: Verdict[];
  /** What was run, in JSON. */
  readonly aggregation: string;
}

const NOT_JUDGED = { weight: 0, norm: null, cosine: null, score: null } as const;

/** Throws config.invalid for a rule or bound that this enclave does not know: the run then never opens. */
export function readDefence(policy: Policy): Defence {
  const { norm_max, weight_cap, updates_min } = policy;
  return readPolicy({ aggregation: parseJson(policy.aggregation), norm_max, weight_cap, updates_min });
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new QflareError("config.invalid", "the aggregation is not JSON", { cause });
  }
}

/** Throws aggregation.precondition where fewer updates stand than the policy promises. */
export function aggregateRound(round: EnclaveRound, defence: Defence): Outcome {
  const kept = round.updates;
  const readable = kept.filter((update) => update.delta !== undefined);
  const updates = readable.map((update) => ({ delta: update.delta!, examples: update.examples }));
  const layers = isLayerwise(defence) ? { layers: layersOfModel(round.head) } : {};
  const defended = defend(defence, updates, round.base.length, layers);
  const parameters = new Float32Array(round.base.length);
  for (let i = 0; i < parameters.length; i++) parameters[i] = round.base[i]! + defended.delta[i]!;
  if (!parameters.every(Number.isFinite)) {
    throw new QflareError("aggregation.precondition", "the sum of model and update is not finite");
  }
  const aggregation = choiceText(defended.specification);
  return { parameters, verdicts: verdictsOf(kept, readable, defended), aggregation };
}

function isLayerwise({ aggregation }: Defence): boolean {
  const steps = "before" in aggregation ? (aggregation.before ?? []) : [];
  return [aggregation, ...steps].some((step) => "layerwise" in step && step.layerwise === true);
}

function verdictsOf(kept: readonly KeptUpdate[], readable: readonly KeptUpdate[], defended: Defended): Verdict[] {
  return kept.map((update): Verdict => {
    const common = { device_id: new Uint8Array(update.deviceId), examples: update.examples };
    const report = defended.reports[readable.indexOf(update)];
    if (report === undefined) {
      return { ...common, verdict: "rejected", reason: update.reason ?? null, ...NOT_JUDGED };
    }
    const { verdict, reason, weight, norm, cosine, score } = report;
    return { ...common, verdict, reason, weight, norm, cosine, score };
  });
}

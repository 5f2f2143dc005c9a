// From the opened updates of a round to new parameters and verdicts.

import { type Defended, defend } from "../aggregation/defence.ts";
import { type Policy as Defence, readPolicy } from "../aggregation/policy.ts";
import { QflareError } from "../core/error.ts";
import type { Policy } from "../wire/policy.ts";
import type { Verdict } from "../wire/report.ts";
import type { EnclaveRound, KeptUpdate } from "./round.ts";

export interface Outcome {
  readonly parameters: Float32Array<ArrayBuffer>;
  /** In the order of device ids. */
  readonly verdicts: Verdict[];
}

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
  const defended = defend(defence, updates, round.base.length);
  const parameters = new Float32Array(round.base.length);
  for (let i = 0; i < parameters.length; i++) parameters[i] = round.base[i]! + defended.delta[i]!;
  if (!parameters.every(Number.isFinite)) {
    throw new QflareError("aggregation.precondition", "the sum of model and update is not finite");
  }
  return { parameters, verdicts: verdictsOf(kept, readable, defended) };
}

function verdictsOf(kept: readonly KeptUpdate[], readable: readonly KeptUpdate[], defended: Defended): Verdict[] {
  return kept.map((update): Verdict => {
    const common = { device_id: new Uint8Array(update.deviceId), examples: update.examples };
    const report = defended.reports[readable.indexOf(update)];
    if (report === undefined) {
      return { ...common, verdict: "rejected", reason: update.reason ?? null, weight: 0, norm: null, cosine: null };
    }
    const { verdict, reason, weight, norm, cosine } = report;
    return { ...common, verdict, reason, weight, norm, cosine };
  });
}

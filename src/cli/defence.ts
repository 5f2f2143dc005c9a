// From the settings to what the enclave promises to do with updates.

import { parseChain } from "../aggregation/chain.ts";
import { type Policy, readPolicy } from "../aggregation/policy.ts";
import { PRESETS } from "../aggregation/presets.ts";
import { type Choice, readChoice, specificationFor } from "../aggregation/specification.ts";
import { RULES, unmetNeed } from "../aggregation/table.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { UsageError } from "./output.ts";

export interface DefenceSettings {
  /** A preset or rule by its name, a chain, or a specification in JSON. */
  readonly rule: string;
  readonly norm_max: number;
  readonly weight_cap: number;
  readonly updates_min: number;
  readonly quorum: number;
  readonly target: number;
  readonly over_selection: number;
}

/** For --rule of every command that takes it. */
export const RULE_WORDS =
  `defence and rule: ${Object.keys(PRESETS).join(", ")}; ${Object.keys(RULES).join(", ")}, with parameters as in ` +
  "krum:f=2 and steps before it as in nnm:f=2/trimmed-mean:f=2; or JSON (docs/aggregation.md)";

/** Throws UsageError, or config.invalid for a specification that is none. */
export function readDefence(settings: DefenceSettings): Policy {
  const { norm_max, weight_cap, updates_min, quorum } = settings;
  const policy = readPolicy({ aggregation: readRule(settings.rule), norm_max, weight_cap, updates_min });
  if (updates_min > quorum) {
    throw new UsageError(`--updates-min: expected at most the quorum of ${quorum}, got ${updates_min}`);
  }
  if (policy.aggregation.rule === "fltrust" && policy.aggregation.root === "round") {
    throw new UsageError("--rule: fltrust needs a root, and the enclave has no data to train one; give it in JSON");
  }
  requireRunnable(policy, settings);
  return policy;
}

/** A rule that can never run would let every round fail. Updates on their way when the target is met count too. */
function requireRunnable(policy: Policy, { target, over_selection }: DefenceSettings): void {
  const most = Math.min(Math.ceil(target * over_selection), LIMITS.devicesPerRoundMax);
  for (const updates of [target, most]) {
    const unmet = unmetNeed(specificationFor(policy.aggregation, updates), updates);
    if (unmet !== undefined) throw new UsageError(`--rule: ${unmet}, but a round may have ${updates} updates`);
  }
}

function readRule(text: string): Choice {
  try {
    return readChoice(parseChain(text));
  } catch (error) {
    throw error instanceof QflareError ? new UsageError(`--rule: ${error.message}`) : error;
  }
}

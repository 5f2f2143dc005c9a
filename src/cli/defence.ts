// From the settings to what the enclave promises to do with updates.

import { type Policy, PRESETS, type PresetName, readPolicy } from "../aggregation/policy.ts";
import { unmetNeed } from "../aggregation/table.ts";
import { UsageError } from "./output.ts";

export interface DefenceSettings {
  /** A preset by its name, or a specification in JSON. */
  readonly rule: string;
  readonly norm_max: number;
  readonly weight_cap: number;
  readonly updates_min: number;
  readonly quorum: number;
  readonly target: number;
}

/** Throws UsageError, or config.invalid for a specification that is none. */
export function readDefence(settings: DefenceSettings): Policy {
  const { rule, norm_max, weight_cap, updates_min, quorum, target } = settings;
  const bounds = { norm_max, weight_cap, updates_min };
  const policy = readPolicy(isPreset(rule) ? { preset: rule, ...bounds } : { aggregation: parseRule(rule), ...bounds });
  if (updates_min > quorum) {
    throw new UsageError(`--updates-min: expected at most the quorum of ${quorum}, got ${updates_min}`);
  }
  const unmet = unmetNeed(policy.aggregation, target);
  if (unmet !== undefined) throw new UsageError(`--rule: ${unmet}, but ${target} updates close a round`);
  return policy;
}

function isPreset(rule: string): rule is PresetName {
  return Object.hasOwn(PRESETS, rule);
}

function parseRule(rule: string): unknown {
  try {
    return JSON.parse(rule);
  } catch {
    const names = Object.keys(PRESETS).join(", ");
    throw new UsageError(`--rule: expected one of ${names}, or JSON, got ${JSON.stringify(rule.slice(0, 80))}`);
  }
}

// From the settings to what the enclave promises to do with updates.

import { type Policy, PRESETS, type PresetName, readPolicy } from "../aggregation/policy.ts";
import type { Requirement } from "../aggregation/rule.ts";
import { PRE_AGGREGATORS, RULES, type Specification } from "../aggregation/table.ts";
import { UsageError } from "./output.ts";

export interface DefenceSettings {
  /** A preset by its name, or a specification in JSON. */
  readonly rule: string;
  readonly norm_max: number;
  readonly weight_cap: number;
  readonly updates_min: number;
  readonly quorum: number;
}

/** Throws UsageError, or config.invalid for a specification that is none. */
export function readDefence({ rule, norm_max, weight_cap, updates_min, quorum }: DefenceSettings): Policy {
  const bounds = { norm_max, weight_cap, updates_min };
  const policy = readPolicy(isPreset(rule) ? { preset: rule, ...bounds } : { aggregation: parseRule(rule), ...bounds });
  if (updates_min > quorum) {
    throw new UsageError(`--updates-min: expected at most the quorum of ${quorum}, got ${updates_min}`);
  }
  const needed = updatesNeeded(policy.aggregation);
  if (quorum < needed) throw new UsageError(`--quorum: ${rule} needs at least ${needed} updates, got ${quorum}`);
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

/** Fewest updates with which every step of the specification can run. */
export function updatesNeeded(specification: Specification): number {
  const { before = [], ...rule } = specification;
  const requirements = [
    requirementOf(RULES[rule.rule], rule),
    ...before.map((step) => requirementOf(PRE_AGGREGATORS[step.rule], step)),
  ];
  return Math.max(...requirements.map((requirement) => requirement.updatesMin));
}

/** The table's entry and the step belong together, which the compiler cannot follow through the union. */
function requirementOf(entry: { requirement(parameters: never): Requirement }, step: object): Requirement {
  return entry.requirement(step as never);
}

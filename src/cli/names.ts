// What people call rules.

import { parseChain } from "../aggregation/chain.ts";
import { type Policy, readPolicy } from "../aggregation/policy.ts";
import { PRESETS, type PresetName } from "../aggregation/presets.ts";
import type { Description } from "../aggregation/rule.ts";
import { PRE_AGGREGATORS, RULES } from "../aggregation/table.ts";

type Members = Record<string, unknown>;

/**
 * What --rule of qflare server takes, and a bare rule or step too: parameters that it needs and is not given come from
 * the experiment. f: how many lie.
 */
export function ruleNamed(text: string, f: number): Policy {
  const { before, ...rule } = parseChain(text) as Members;
  const steps = Array.isArray(before) ? { before: before.map((step: Members) => filled(step, f)) } : { before };
  return readPolicy({ aggregation: { ...filled(rule, f), ...(before === undefined ? {} : steps) } });
}

/** Unknown names and wrong values are left for readPolicy to refuse. */
function filled(members: Members, f: number): Members {
  const known: Members = { f, theta: 2 * f + 1, root: "round", tau: "median", iterations: 3, start: "zero" };
  const name = String(members.rule);
  if (Object.hasOwn(PRESETS, name)) {
    return PRESETS[name as PresetName].takesLiars && members.f === undefined ? { ...members, f } : members;
  }
  const table: Readonly<Record<string, Description<object>>> = { ...RULES, ...PRE_AGGREGATORS } as never;
  const parameters: object = table[name]?.parameters ?? {};
  const out = { ...members };
  for (const [parameter, { optional }] of Object.entries(parameters) as [string, { optional: boolean }][]) {
    if (!optional && out[parameter] === undefined && parameter in known) out[parameter] = known[parameter];
  }
  return out;
}

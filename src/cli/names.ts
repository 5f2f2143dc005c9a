// What people call rules.

import { type Policy, PRESETS, readPolicy } from "../aggregation/policy.ts";

/** A preset, the name of a rule, or a specification in JSON. f: for rules that need to know how many lie. */
export function ruleNamed(text: string, _updates: number, f: number): Policy {
  const bounds = { norm_max: 1e6, weight_cap: 2, updates_min: 1 };
  if (Object.hasOwn(PRESETS, text)) return readPolicy({ preset: text, ...bounds });
  if (text.startsWith("{")) return readPolicy({ aggregation: JSON.parse(text) as object, ...bounds });
  const needsNothing = ["mean", "median", "geometric-median"].includes(text);
  return readPolicy({ aggregation: needsNothing ? { rule: text } : { rule: text, f }, ...bounds });
}

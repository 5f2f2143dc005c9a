// The one table of rules and of what may run before them: code, command line and documentation read it.

import { arc } from "./before/arc.ts";
import { bucketing } from "./before/bucketing.ts";
import { cosine } from "./before/cosine.ts";
import { nnm } from "./before/nnm.ts";
import { normClip } from "./before/norm-clip.ts";
import { normReject } from "./before/norm-reject.ts";
import type { PreAggregator, Requirement, Rule } from "./rule.ts";
import { bulyan } from "./rules/bulyan.ts";
import { caf } from "./rules/caf.ts";
import { centeredClipping } from "./rules/centered-clipping.ts";
import { dnc } from "./rules/dnc.ts";
import { flame } from "./rules/flame.ts";
import { fltrust } from "./rules/fltrust.ts";
import { foolsgold } from "./rules/foolsgold.ts";
import { geometricMedian } from "./rules/geometric-median.ts";
import { krum } from "./rules/krum.ts";
import { mda } from "./rules/mda.ts";
import { meamed } from "./rules/meamed.ts";
import { mean } from "./rules/mean.ts";
import { median } from "./rules/median.ts";
import { multiKrum } from "./rules/multi-krum.ts";
import { rlr } from "./rules/rlr.ts";
import { signguard } from "./rules/signguard.ts";
import { trimmedMean } from "./rules/trimmed-mean.ts";

export const RULES = {
  mean,
  median,
  "trimmed-mean": trimmedMean,
  meamed,
  krum,
  "multi-krum": multiKrum,
  bulyan,
  "geometric-median": geometricMedian,
  "centered-clipping": centeredClipping,
  mda,
  caf,
  dnc,
  fltrust,
  foolsgold,
  rlr,
  flame,
  signguard,
} as const;

export const PRE_AGGREGATORS = {
  cosine,
  "norm-reject": normReject,
  "norm-clip": normClip,
  arc,
  nnm,
  bucketing,
} as const;

export type RuleName = keyof typeof RULES;
export type PreAggregatorName = keyof typeof PRE_AGGREGATORS;

type ParametersOf<R> = R extends Rule<infer P> | PreAggregator<infer P> ? P : never;

/** layerwise: each layer of the model by itself, where the rule compares whole updates. */
interface Common<N> {
  readonly rule: N;
  readonly layerwise?: boolean;
}

/** `{ rule: "norm-reject", factor: 5 }` */
export type Step = {
  [N in PreAggregatorName]: Common<N> & ParametersOf<(typeof PRE_AGGREGATORS)[N]>;
}[PreAggregatorName];

/** `{ rule: "trimmed-mean", f: 2, before: [{ rule: "norm-reject", factor: 5 }] }` */
export type Specification = {
  [N in RuleName]: Common<N> & { readonly before?: readonly Step[] } & ParametersOf<(typeof RULES)[N]>;
}[RuleName];

/** A checked specification holds the parameters of the rule that it names, which the compiler cannot follow. */
export function ruleOf(specification: Specification): Rule<object> {
  return RULES[specification.rule] as unknown as Rule<object>;
}

export function preAggregatorOf(step: Step): PreAggregator<object> {
  return PRE_AGGREGATORS[step.rule] as unknown as PreAggregator<object>;
}

/** The step that can never run on so many updates and what it needs; undefined where every one can. */
export function unmetNeed(specification: Specification, updates: number): string | undefined {
  let rows = updates;
  for (const step of specification.before ?? []) {
    const before = preAggregatorOf(step);
    const unmet = unmetBy(before.name, before.requirement(step), rows);
    if (unmet !== undefined) return unmet;
    rows = before.rowsLeft?.(rows, step) ?? rows;
  }
  const rule = ruleOf(specification);
  return unmetBy(rule.name, rule.requirement(specification), rows);
}

function unmetBy(name: string, { updatesMin, updatesMax, words }: Requirement, rows: number): string | undefined {
  return rows < updatesMin || rows > (updatesMax ?? rows) ? `${name} needs ${words}` : undefined;
}

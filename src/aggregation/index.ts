// Public entry `qflare/aggregation`: many updates into one, in spite of liars.

export { Reducer } from "../math/reducer.ts";
export { type Aggregate, type AggregateOptions, aggregate, type Rejection } from "./aggregate.ts";
export { type Defended, defend, type Report, type Update } from "./defence.ts";
export { type Policy, PRESETS, type PresetName, readPolicy } from "./policy.ts";
export type { Description, Reason, Requirement } from "./rule.ts";
export { readSpecification } from "./specification.ts";
export {
  PRE_AGGREGATORS,
  type PreAggregatorName,
  RULES,
  type RuleName,
  type Specification,
  type Step,
} from "./table.ts";

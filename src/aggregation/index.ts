// Public entry `qflare/aggregation`: many updates into one, in spite of liars.

export { Reducer } from "../math/reducer.ts";
export { type Aggregate, aggregate, type Rejection } from "./aggregate.ts";
export { parseChain } from "./chain.ts";
export { type Defended, type DefendOptions, defend, type Report, type Update } from "./defence.ts";
export type { AggregateOptions } from "./input.ts";
export { DEFAULT_BOUNDS, type Policy, readPolicy } from "./policy.ts";
export { AggregationPool, type PoolOptions } from "./pool.ts";
export { assumedLiars, PRESETS, type Preset, type PresetName } from "./presets.ts";
export type { Description, Reason, Requirement } from "./rule.ts";
export { type Choice, type PresetChoice, readChoice, readSpecification, specificationFor } from "./specification.ts";
export { StreamingMean, type StreamingOptions, type Taken } from "./streaming.ts";
export {
  PRE_AGGREGATORS,
  type PreAggregatorName,
  RULES,
  type RuleName,
  type Specification,
  type Step,
} from "./table.ts";

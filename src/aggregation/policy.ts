// What an enclave is told to do with a round: rule, filters and bounds. Devices see it before they train (its hash is
// part of what they seal to), so it is plain data.

import { LIMITS } from "../core/limits.ts";
import type { Shape } from "../core/shape.ts";
import { float, uint } from "../core/shape.ts";
import { membersOf, readSpecification, readValue, refuse } from "./specification.ts";
import type { Specification } from "./table.ts";

export interface Policy {
  readonly aggregation: Specification;
  /** Largest norm of an update. */
  readonly norm_max: number;
  /** How many times the median of the claimed example counts one device may weigh. */
  readonly weight_cap: number;
  /** Fewer accepted updates than this end the round without a model. */
  readonly updates_min: number;
}

const BOUNDS = {
  norm_max: float(0, 1e18),
  weight_cap: float(1, 1e6),
  updates_min: uint(1, LIMITS.devicesPerRoundMax),
} as const satisfies Record<string, Shape<number>>;

// An absolute norm cap cannot know the model; it keeps float32 far from overflow and is there to be lowered.
//
// A cap relative to the median needs no number that fits every data set, and liars under a half cannot move the median
// out of the honest range. At 2, one liar of n devices has less than 2 / (1 + n / 2) of the mean whatever it claims:
// half of the devices weigh at least the median.
const COMMON = { norm_max: 1e6, weight_cap: 2, updates_min: 1 };

export const PRESETS = {
  /** No defence beyond the bounds. */
  mean: { ...COMMON, aggregation: { rule: "mean" } },
  /**
   * Against a minority of crude liars: boosted, flipped, opposed updates. The threshold is from bench/rounds.ts, ten
   * devices with 600 images each. Like data, one flipping signs, seeds 1 to 5: honest cosines from -0.04, flipped
   * ones up to -0.08, so 50 of 50 lies and 0 of 450 honest updates are rejected; of two flipping, 97 of 100; of one
   * flipping labels, 38 of 50. Data that differ (dirichlet:0.5): 35 of 450 honest updates go too. Noise and zeros
   * (cosine 0) pass while they are small: they slow the model down but do not steer it.
   */
  cosine: {
    ...COMMON,
    aggregation: {
      rule: "mean",
      before: [
        { rule: "norm-reject", factor: 5 },
        { rule: "cosine", threshold: -0.06, reference: "others" },
      ],
    },
    updates_min: 3,
  },
} as const satisfies Record<string, Policy>;

export type PresetName = keyof typeof PRESETS;

/**
 * Reads `{ preset: "cosine" }`, with any bound beside it, or `{ aggregation: { rule, ... }, norm_max, weight_cap,
 * updates_min }`. Throws config.invalid.
 */
export function readPolicy(value: unknown): Policy {
  const { preset, aggregation, ...bounds } = membersOf(value, "policy");
  if ((preset === undefined) === (aggregation === undefined)) {
    refuse("policy", "expected either preset or aggregation");
  }
  const base: Partial<Policy> = preset === undefined ? {} : presetNamed(preset);
  return {
    ...readBounds({ ...base, ...bounds }, Object.keys(bounds)),
    aggregation: base.aggregation ?? readSpecification(aggregation),
  };
}

function presetNamed(name: unknown): Policy {
  if (typeof name === "string" && Object.hasOwn(PRESETS, name)) return PRESETS[name as PresetName];
  return refuse("policy.preset", `expected one of ${Object.keys(PRESETS).join(", ")}`);
}

type Bounds = Omit<Policy, "aggregation">;

function readBounds(values: Partial<Record<keyof Bounds, unknown>>, given: readonly string[]): Bounds {
  for (const name of given) if (!Object.hasOwn(BOUNDS, name)) refuse(`policy.${name}`, "no such member");
  const read = (name: keyof Bounds): number => readValue(BOUNDS[name], values[name], `policy.${name}`);
  return { norm_max: read("norm_max"), weight_cap: read("weight_cap"), updates_min: read("updates_min") };
}

// What an enclave is told to do with a round: rule, filters and bounds. Devices see it before they train (its hash is
// part of what they seal to), so it is plain data.

import { LIMITS } from "../core/limits.ts";
import type { Shape } from "../core/shape.ts";
import { float, uint } from "../core/shape.ts";
import { type Choice, membersOf, readChoice, readValue, refuse } from "./specification.ts";

export interface Policy {
  readonly aggregation: Choice;
  /** Largest norm of an update. */
  readonly norm_max: number;
  /** How many times the median of the claimed example counts one device may weigh. */
  readonly weight_cap: number;
  /** Fewer accepted updates than this end the round without a model. */
  readonly updates_min: number;
}

type Bounds = Omit<Policy, "aggregation">;

const SHAPES = {
  norm_max: float(0, 1e18),
  weight_cap: float(1, 1e6),
  updates_min: uint(1, LIMITS.devicesPerRoundMax),
} as const satisfies Record<keyof Bounds, Shape<number>>;

/**
 * An absolute norm cap cannot know the model; it keeps float32 far from overflow and is there to be lowered.
 *
 * A weight cap relative to the median needs no number that fits every data set, and liars under a half cannot move the
 * median out of the honest range. At 2, one liar of n devices has less than 2 / (1 + n / 2) of the mean whatever it
 * claims: half of the devices weigh at least the median.
 */
export const DEFAULT_BOUNDS: Bounds = { norm_max: 1e6, weight_cap: 2, updates_min: 1 };

/** Reads `{ aggregation: { rule, ... } }` with any bound beside it. Throws config.invalid. */
export function readPolicy(value: unknown): Policy {
  const { aggregation, ...bounds } = membersOf(value, "policy");
  for (const name of Object.keys(bounds)) {
    if (!Object.hasOwn(SHAPES, name)) refuse(`policy.${name}`, "no such member");
  }
  const read = (name: keyof Bounds): number =>
    readValue(SHAPES[name], Object.hasOwn(bounds, name) ? bounds[name] : DEFAULT_BOUNDS[name], `policy.${name}`);
  return {
    aggregation: readChoice(aggregation),
    norm_max: read("norm_max"),
    weight_cap: read("weight_cap"),
    updates_min: read("updates_min"),
  };
}

// Ready-made chains of filters and rules under one name, which stands wherever a rule's name may stand.

import type { Specification } from "./table.ts";

export interface Preset {
  readonly summary: string;
  /** What gets through in spite of it. */
  readonly limits: string;
  /** Whether it takes f. */
  readonly takesLiars: boolean;
  specification(f: number): Specification;
}

/** Overflows and boosted updates. No honest update was five times as long as the middle one in bench/rounds.ts. */
const OVERLONG = { rule: "norm-reject", factor: 5 } as const;

/**
 * The threshold is from bench/rounds.ts, ten devices with 600 images each. Like data, one flipping signs, seeds 1 to
 * 5: honest cosines from -0.04, flipped ones up to -0.08, so 50 of 50 lies and 0 of 450 honest updates are rejected; of
 * two flipping, 97 of 100; of one flipping labels, 38 of 50. Data that differ (dirichlet:0.5): 35 of 450 honest updates
 * go too. Noise and zeros (cosine 0) pass while they are small.
 */
const OPPOSED = { rule: "cosine", threshold: -0.06, reference: "others" } as const;

export const PRESETS = {
  default: {
    summary: "Rejects overlong and opposed updates, then drops those farthest along the main direction of the rest.",
    limits:
      "Shifts within the honest spread (ALIE, IPM) slow training down. More liars than f among those not rejected. " +
      "It drops f devices in every round, also where nobody lies.",
    takesLiars: true,
    // Nearest-neighbour mixing and the trimmed mean in place of dnc lost 4 points more to IPM on unlike data, and let
    // backdoors succeed twice as often (docs/robustness.md has the matrix).
    specification: (f) => ({ rule: "dnc", f, before: [OVERLONG, OPPOSED] }),
  },
  heterogeneous: {
    summary: "For devices with unlike data: means of random pairs, then centered clipping at the median difference.",
    limits: "f > 0.15 n. Use it with momentum on the devices: without, attacks that repeat over rounds add up.",
    takesLiars: false,
    specification: () => ({
      rule: "centered-clipping",
      tau: "median",
      iterations: 3,
      start: "zero",
      before: [OVERLONG, { rule: "bucketing", s: 2, permutation: "drawn" }],
    }),
  },
  backdoor: {
    summary: "Against colluding liars who train a backdoor in: drops those farthest along the main direction.",
    limits:
      "Single free riders. Costs accuracy where the devices' data differ much: it drops f devices in every round.",
    takesLiars: true,
    specification: (f) => ({ rule: "dnc", f, before: [OVERLONG] }),
  },
  "streaming-mean": {
    summary: "Weighted mean without any filter: the one choice that needs no update beside another.",
    limits: "Everything: no defence beyond the bounds of norm and weight.",
    takesLiars: false,
    specification: () => ({ rule: "mean" }),
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;

/**
 * f of a preset that is given none: a fifth of the updates that came, before any is rejected. Of 1 to 4 updates none
 * is taken for a lie, and the filters are the only defence.
 */
export function assumedLiars(updates: number): number {
  return Math.floor(updates / 5);
}

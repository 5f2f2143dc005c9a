// What one simulated run is: everything that decides its result, and nothing else.

import type { Policy } from "../aggregation/policy.ts";
import { specificationFor } from "../aggregation/specification.ts";
import { unmetNeed } from "../aggregation/table.ts";
import { QflareError } from "../core/error.ts";
import type { ModelDescription } from "../learning/model.ts";
import type { TrainingPlan } from "../learning/plan.ts";
import { PseudoRandom } from "../math/random.ts";
import type { Attack } from "./attacks.ts";

export interface Rule {
  /** As it was typed. */
  readonly text: string;
  readonly policy: Policy;
}

/** The population and its task; the same for all runs of a comparison. */
export interface Setting {
  readonly devices: number;
  /** Share of the devices that each round takes, in (0, 1]. */
  readonly sample: number;
  readonly rounds: number;
  /** As parsePartition reads it. */
  readonly partition: string;
  /** Examples that each device keeps of its share; 0: all. */
  readonly examplesMax: number;
  /** Share of the devices that lie, in [0, 0.5). */
  readonly byzantine: number;
  readonly model: ModelDescription;
  readonly training: TrainingPlan;
  /** Rounds from one evaluation to the next; the last three are always evaluated. */
  readonly evaluateEvery: number;
  /** Examples of the server's own for rules that need some; 0: none. */
  readonly rootExamples: number;
}

export interface RunPlan extends Setting {
  readonly attack: Attack;
  readonly rule: Rule;
  readonly seed: number;
}

/** Throws config.invalid. */
export function checkSetting(setting: Setting): void {
  const { devices, sample, byzantine, rounds, evaluateEvery } = setting;
  const wholes = [devices, rounds, evaluateEvery];
  const isWhole = wholes.every((value) => Number.isSafeInteger(value) && value >= 1);
  if (!isWhole) throw new QflareError("config.invalid", "expected whole numbers of devices and rounds from 1");
  if (!(sample > 0 && sample <= 1))
    throw new QflareError("config.invalid", `expected a sample in (0, 1], got ${sample}`);
  if (!(byzantine >= 0 && byzantine < 0.5)) {
    throw new QflareError("config.invalid", `expected a share of liars in [0, 0.5), got ${byzantine}`);
  }
}

/** Throws config.invalid for a rule that would let every round fail. */
export function checkRule(setting: Setting, { text, policy: { aggregation } }: Rule): void {
  const updates = cohortSize(setting);
  const unmet = unmetNeed(specificationFor(aggregation, updates), updates);
  if (unmet !== undefined) {
    throw new QflareError("config.invalid", `${text}: ${unmet}, but a round has ${updates} updates`);
  }
  if (aggregation.rule === "fltrust" && aggregation.root === "round" && setting.rootExamples === 0) {
    throw new QflareError("config.invalid", `${text}: expected root examples to train the root of each round on`);
  }
}

/** Devices of one round. */
export function cohortSize({ devices, sample }: Setting): number {
  return Math.max(1, Math.round(sample * devices));
}

/** Devices of one round, ascending. */
export function cohortOf(plan: RunPlan, round: number): number[] {
  const order = new PseudoRandom(plan.seed, `cohort ${round}`).permutation(plan.devices);
  return [...order.subarray(0, cohortSize(plan))].sort((a, b) => a - b);
}

/** Who lies, for the whole run. */
export function liarsOf({ devices, byzantine, attack, seed }: RunPlan): ReadonlySet<number> {
  const count = attack.name === "none" ? 0 : Math.round(byzantine * devices);
  return new Set(new PseudoRandom(seed, "liars").permutation(devices).subarray(0, count));
}

/** Seed of one device's training in one round. */
export function trainingSeed(seed: number, round: number, device: number): number {
  return new PseudoRandom(seed, `train ${round} ${device}`).uint32();
}

export function isEvaluated({ rounds, evaluateEvery }: Setting, round: number): boolean {
  return round % evaluateEvery === 0 || round > rounds - 3;
}

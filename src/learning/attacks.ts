// What a lying device does, for demonstration and simulation of the defences. Pure functions: the first three change
// the honest delta (local - global), label-flip changes the data it trains on.

import { QflareError } from "../core/error.ts";
import { PseudoRandom } from "../math/random.ts";
import type { Dataset } from "./dataset.ts";

export const ATTACK_KINDS = ["sign-flip", "scale", "noise", "label-flip"] as const;

export type AttackKind = (typeof ATTACK_KINDS)[number];

export interface Attack {
  readonly kind: AttackKind;
  /** How strong; label-flip does not use it. */
  readonly factor: number;
}

const DEFAULT_FACTORS: Readonly<Record<AttackKind, number>> = { "sign-flip": 4, scale: 10, noise: 5, "label-flip": 1 };
const FACTOR_MAX = 1e6;

/** Reads "sign-flip", "scale", "noise" or "label-flip"; the first three may carry a factor, as in "scale:100". */
export function parseAttack(text: string): Attack {
  const [name, factorText] = text.split(":", 2);
  const kind = ATTACK_KINDS.find((known) => known === name);
  if (kind !== undefined && text === name) return { kind, factor: DEFAULT_FACTORS[kind] };
  const factor = Number(factorText);
  const isFactor = text === `${name}:${factorText}` && /^\d+(\.\d+)?$/.test(factorText) && factor <= FACTOR_MAX;
  if (kind !== undefined && kind !== "label-flip" && isFactor) return { kind, factor };
  throw new QflareError(
    "config.invalid",
    `expected attack ${ATTACK_KINDS.map((known) => `"${known}"`).join(" or ")}, ` +
      `the first three with ":<factor up to ${FACTOR_MAX}>" where wished, got ${JSON.stringify(text)}`,
  );
}

/** What the device sends in place of its honest delta; for label-flip the delta itself. seed: for noise. */
export function poisonDelta(attack: Attack, delta: Float32Array, seed: number): Float32Array<ArrayBuffer> {
  switch (attack.kind) {
    case "sign-flip":
      return new Float32Array(delta.map((value) => -attack.factor * value));
    case "scale":
      return new Float32Array(delta.map((value) => attack.factor * value));
    case "noise":
      return noise(delta, attack.factor, new PseudoRandom(seed, "attack"));
    case "label-flip":
      return new Float32Array(delta);
  }
}

/** What the device trains on: for label-flip, class c is taught as classes - 1 - c. */
export function poisonDataset(attack: Attack, dataset: Dataset): Dataset {
  if (attack.kind !== "label-flip") return dataset;
  return { ...dataset, labels: dataset.labels.map((label) => dataset.classes - 1 - label) };
}

/** A random direction whose norm is factor times that of the delta. */
function noise(delta: Float32Array, factor: number, random: PseudoRandom): Float32Array<ArrayBuffer> {
  const direction = Float64Array.from(delta, () => random.gaussian());
  const directionNorm = norm(direction);
  const scale = directionNorm === 0 ? 0 : (factor * norm(delta)) / directionNorm;
  return Float32Array.from(direction, (value) => scale * value);
}

function norm(values: Float32Array | Float64Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

// What an aggregation is handed beside its rule, checked at the door: the same for one thread and for a pool.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Reducer } from "../math/reducer.ts";

export interface AggregateOptions {
  /** One for each update, finite and not negative, at least one above 0. All 1 where absent. */
  readonly weights?: readonly number[];
  /** No update weighs more than so many times the median weight of those that reach the rule. No cap where absent. */
  readonly weightCap?: number;
  /** Values that an update must have. Where absent, all must agree. */
  readonly length?: number;
  /** Largest norm that is admitted. */
  readonly normMax?: number;
  /** Values of each layer, in the order of the update: what layerwise steps need. */
  readonly layers?: readonly number[];
  /** The update of trusted data that `{ rule: "fltrust", root: "round" }` asks for. */
  readonly root?: Float32Array;
  /** The kernel to use; a shared one where absent. */
  readonly reducer?: Reducer;
}

/** Throws aggregation.input, or TypeError for what is no list of vectors. */
export function checkInput(deltas: readonly Float32Array[], options: AggregateOptions): void {
  checkBounds(options);
  rootOf(options);
  weightsOf(deltas.length, options.weights);
  lengthOf(deltas, options.length);
}

/** A bound that is no number would bound nothing: nothing is larger than NaN. */
export function checkBounds({ weightCap, normMax }: AggregateOptions): void {
  if (weightCap !== undefined && !(weightCap > 0)) {
    throw new QflareError("aggregation.input", `expected a weight cap above 0, got ${weightCap}`);
  }
  if (normMax !== undefined && !(normMax >= 0)) {
    throw new QflareError("aggregation.input", `expected a largest norm of at least 0, got ${normMax}`);
  }
}

export function rootOf({ root }: AggregateOptions): Float32Array | undefined {
  if (root === undefined) return undefined;
  if (!(root instanceof Float32Array)) throw new TypeError("expected a root of Float32Array");
  if (!root.every(Number.isFinite)) throw new QflareError("aggregation.input", "expected a root of finite numbers");
  return root;
}

/** Values of an update. */
export function lengthOf(deltas: readonly Float32Array[], declared: number | undefined): number {
  if (deltas.length === 0 || deltas.length > LIMITS.devicesPerRoundMax) {
    throw new QflareError(
      "aggregation.input",
      `expected 1 to ${LIMITS.devicesPerRoundMax} updates, got ${deltas.length}`,
    );
  }
  if (!deltas.every((delta) => delta instanceof Float32Array)) throw new TypeError("expected updates of Float32Array");
  const length = declared ?? deltas[0].length;
  if (declared === undefined && deltas.some((delta) => delta.length !== length)) {
    throw new QflareError("aggregation.input", "expected updates of one length");
  }
  if (length === 0) throw new QflareError("aggregation.input", "expected updates of at least one value");
  return length;
}

export function weightsOf(count: number, weights: readonly number[] | undefined): readonly number[] {
  if (weights === undefined) return new Array<number>(count).fill(1);
  const fit = weights.length === count && weights.every((weight) => Number.isFinite(weight) && weight >= 0);
  if (!fit) throw new QflareError("aggregation.input", `expected ${count} finite weights, none negative`);
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum === 0 || !Number.isFinite(sum))
    throw new QflareError("aggregation.input", `expected weights of a finite sum above 0, got ${sum}`);
  return weights;
}

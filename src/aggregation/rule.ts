// What a rule and a pre-aggregator are. Both work on deltas (local minus global model), never on whole models.

import type { ErrorCode } from "../core/error.ts";
import type { Shape } from "../core/shape.ts";
import type { Engine } from "../math/engine.ts";
import type { Rows } from "../math/rows.ts";

/** Why a single update was left out: the codes of the error table that a device may be told. */
export type Reason = Extract<ErrorCode, `update.${string}`>;

/** The updates that are still in. Read only; every value is finite. A row stands for the updates in members. */
export interface Batch {
  readonly rows: Rows;
  /** Euclidean norms, float64. */
  readonly norms: readonly number[];
  readonly members: readonly (readonly number[])[];
}

/** What a rule gets. weights: not negative, of a positive sum; order statistics and distance rules do not use them. */
export interface Weighted extends Batch {
  readonly weights: readonly number[];
}

/** How many rows the guarantee needs. Checked against those that are left; f is never lowered to fit. */
export interface Requirement {
  readonly updatesMin: number;
  readonly updatesMax?: number;
  readonly words: string;
}

export interface Parameter<T> {
  readonly shape: Shape<T>;
  readonly words: string;
  readonly optional: boolean;
}

/** One for each member of P. */
export type Parameters<P> = { readonly [K in keyof P]-?: Parameter<Exclude<P[K], undefined>> };

/** What API, command line and documentation say about a rule. n: updates, D: values of each, f: declared liars. */
export interface Description<P> {
  readonly name: string;
  readonly summary: string;
  readonly source: string;
  readonly parameters: Parameters<P>;
  readonly weights: "used" | "ignored";
  readonly complexity: string;
  /** What gets through in spite of it. */
  readonly limits: string;
  /** Whether it may judge each layer of the model by itself: `layerwise: true`. */
  readonly layerwise?: true;
  requirement(parameters: P): Requirement;
}

export interface Rule<P> extends Description<P> {
  combine(engine: Engine, batch: Weighted, parameters: P): Combined;
}

export interface Combined {
  readonly delta: Float32Array<ArrayBuffer>;
  /** Rows of the batch that entered the delta. */
  readonly selected: readonly number[];
  /** One for each row, where the rule scores them. */
  readonly scores?: readonly number[];
}

/** Runs before the rule: leaves rows out, or puts blends of them in their place. */
export interface PreAggregator<P> extends Description<P> {
  /** Rows that it makes of so many, none rejected; as many where absent. */
  rowsLeft?(rows: number, parameters: P): number;
  prepare(engine: Engine, batch: Batch, parameters: P): Prepared;
}

export interface Prepared {
  readonly batch: Batch;
  readonly rejected: readonly { readonly row: number; readonly reason: Reason }[];
  /** One for each row of the batch that came in. */
  readonly scores?: readonly number[];
}

export function required<T>(shape: Shape<T>, words: string): Parameter<T> {
  return { shape, words, optional: false };
}

export function optional<T>(shape: Shape<T>, words: string): Parameter<T> {
  return { shape, words, optional: true };
}

// Many updates into one: admit what can be used, run what stands before the rule, run the rule, and say of every update
// what became of it.

import { QflareError } from "../core/error.ts";
import { type Engine, LocalEngine } from "../math/engine.ts";
import { Reducer } from "../math/reducer.ts";
import { plainRows } from "../math/rows.ts";
import { shares } from "./affine.ts";
import { makeBatch, median, withWeights } from "./batch.ts";
import { Foresight } from "./foresight.ts";
import { type AggregateOptions, checkBounds, lengthOf, rootOf, weightsOf } from "./input.ts";
import { combineLayers, layersOf, prepareLayers } from "./layers.ts";
import type { Batch, Combined, Prepared, Reason, Requirement } from "./rule.ts";
import { type Choice, readChoice, specificationFor } from "./specification.ts";
import type { Specification, Step } from "./table.ts";
import { preAggregatorOf, ruleOf } from "./table.ts";

const NORM_MAX = (2 - 2 ** -23) * 2 ** 127; // the largest float32: a longer update overflows as soon as it is scaled

export interface Rejection {
  readonly index: number;
  readonly reason: Reason;
}

export interface Aggregate {
  readonly delta: Float32Array<ArrayBuffer>;
  /** Indices of the updates that entered the delta, ascending. */
  readonly selected: number[];
  /** In the order of the index. An update that is neither selected nor rejected was passed over by the rule. */
  readonly rejected: Rejection[];
  /** By name of what measured it ("norm", "cosine", "krum"): one value for each update, null where it was not in.
   *  A name that stands twice in the specification shows the later values. */
  readonly scores: Readonly<Record<string, readonly (number | null)[]>>;
  /** For each update its weight after the cap, 0 where it did not reach the rule. Some rules do not use weights. */
  readonly weights: readonly number[];
  /** What was run: of a preset, the specification that it stood for. */
  readonly specification: Specification;
}

// aggregate is a plain function, and compiling the kernel costs more than a small round. The instance holds scratch
// alone and is wiped after each call.
let shared: Reducer | undefined;

function sharedReducer(): Reducer {
  shared ??= new Reducer();
  return shared;
}

/**
 * deltas: n vectors of D values. Synchronous and deterministic. The result depends on the order of the updates by
 * rounding alone (and by ties, where the lowest index wins): whoever needs equal bits sorts the updates first.
 * Updates with a value that is not finite, or of a wrong length, are rejected and do not lower f.
 * Throws config.invalid, aggregation.input, or aggregation.precondition where too few updates are left.
 */
export function aggregate(choice: Choice, deltas: readonly Float32Array[], options: AggregateOptions = {}): Aggregate {
  const checked = readChoice(choice);
  const reducer = options.reducer ?? sharedReducer();
  try {
    return aggregateOn(new LocalEngine(reducer), checked, deltas, options);
  } finally {
    reducer.wipe();
  }
}

/** choice: checked. */
export function aggregateOn(
  engine: Engine,
  choice: Choice,
  deltas: readonly Float32Array[],
  options: AggregateOptions,
): Aggregate {
  checkBounds(options);
  const specification = withRoot(specificationFor(choice, deltas.length), rootOf(options));
  const weights = weightsOf(deltas.length, options.weights);
  const ledger = new Ledger(deltas.length);
  const foresight = isMeanAlone(specification) ? foresee(engine, weights, options.weightCap) : undefined;
  let batch = admit(foresight ?? engine, deltas, options, ledger);
  for (const step of specification.before ?? []) {
    const { name, requirement } = preAggregatorOf(step);
    demand(name, requirement(step), batch);
    const prepared = prepare(engine, batch, step, options);
    for (const { row, reason } of prepared.rejected) ledger.reject(batch.members[row], reason);
    if (prepared.scores !== undefined) ledger.score(name, batch, prepared.scores);
    batch = prepared.batch;
  }
  const rule = ruleOf(specification);
  demand(rule.name, rule.requirement(specification), batch);
  const capped = cappedWeights(weights, batch, options.weightCap);
  const { delta, selected, scores } = combine(foresight ?? engine, batch, capped, specification, options);
  foresight?.forget(delta);
  requireFinite(engine, delta);
  if (scores !== undefined) ledger.score(rule.name, batch, scores);
  const members = new Set(selected.flatMap((row) => batch.members[row]));
  const { rejected, scores: measured } = ledger.close();
  return {
    delta,
    selected: [...members].sort((a, b) => a - b),
    rejected,
    scores: measured,
    weights: capped,
    specification,
  };
}

function isMeanAlone({ rule, before = [] }: Specification): boolean {
  return rule === "mean" && before.length === 0;
}

/** undefined where some update weighs nothing. */
function foresee(engine: Engine, weights: readonly number[], cap: number | undefined): Foresight | undefined {
  const capped = boundedWeights(weights, [...weights.keys()], cap);
  return capped.every((weight) => weight > 0) ? new Foresight(engine, shares(capped)) : undefined;
}

function withRoot(specification: Specification, root: Float32Array | undefined): Specification {
  return specification.rule === "fltrust" && specification.root === "round" && root !== undefined
    ? { ...specification, root }
    : specification;
}

function prepare(engine: Engine, batch: Batch, step: Step, options: AggregateOptions): Prepared {
  const before = preAggregatorOf(step);
  if (step.layerwise !== true) return before.prepare(engine, batch, step);
  return prepareLayers(before, engine, batch, step, layersOf(options.layers, batch.rows.length));
}

function combine(
  engine: Engine,
  batch: Batch,
  weights: readonly number[],
  specification: Specification,
  options: AggregateOptions,
): Combined {
  const rule = ruleOf(specification);
  const ofRows = batch.members.map((indices) => indices.reduce((sum, index) => sum + weights[index], 0));
  const weighted = withWeights(batch, ofRows);
  if (specification.layerwise !== true) return rule.combine(engine, weighted, specification);
  return combineLayers(rule, engine, weighted, specification, layersOf(options.layers, batch.rows.length));
}

/** Schema, length, finite, norm: what is checked before any rule sees an update. */
function admit(engine: Engine, deltas: readonly Float32Array[], options: AggregateOptions, ledger: Ledger): Batch {
  const length = lengthOf(deltas, options.length);
  const normMax = Math.min(options.normMax ?? NORM_MAX, NORM_MAX);
  const whole = [...deltas.keys()].filter((index) => deltas[index].length === length);
  const rows = plainRows(
    whole.map((index) => deltas[index]),
    length,
  );
  const sizes = whole.length === 0 ? [] : Array.from(engine.sum("squaredNorms", rows, {}), Math.sqrt);
  const norms = new Array<number | null>(deltas.length).fill(null);
  for (const index of deltas.keys()) if (deltas[index].length !== length) ledger.reject([index], "update.length");
  const kept = whole.filter((index, i) => {
    const reason = problemOf(sizes[i], normMax);
    if (Number.isFinite(sizes[i])) norms[index] = sizes[i];
    if (reason !== undefined) ledger.reject([index], reason);
    return reason === undefined;
  });
  ledger.scores.norm = norms;
  const left = plainRows(
    kept.map((index) => deltas[index]),
    length,
  );
  return makeBatch(
    engine,
    left,
    kept.map((index) => [index]),
    kept.map((index) => norms[index]!),
  );
}

function problemOf(size: number, normMax: number): Reason | undefined {
  if (!Number.isFinite(size)) return "update.not_finite";
  return size > normMax ? "update.norm" : undefined;
}

function demand(name: string, { updatesMin, updatesMax, words }: Requirement, batch: Batch): void {
  const count = batch.members.length;
  if (count < updatesMin || count > (updatesMax ?? count)) {
    throw new QflareError("aggregation.precondition", `${name} needs ${words}, got n = ${count}`);
  }
}

/** The last gate: a model that is not finite would be every device's, and no round after it could mend it. */
function requireFinite(engine: Engine, delta: Float32Array): void {
  const [square] = engine.sum("squaredNorms", plainRows([delta], delta.length), {});
  if (!Number.isFinite(square)) throw new QflareError("aggregation.input", "the updates together are not finite");
}

/** By index; the bound is taken over the updates that are in, so that one that was rejected cannot raise it. */
function cappedWeights(weights: readonly number[], batch: Batch, cap: number | undefined): number[] {
  const out = boundedWeights(weights, batch.members.flat(), cap);
  if (out.every((weight) => weight === 0)) {
    throw new QflareError("aggregation.precondition", "expected a weight above 0 among the updates that are left");
  }
  return out;
}

function boundedWeights(weights: readonly number[], indices: readonly number[], cap: number | undefined): number[] {
  const bound = cap === undefined ? Number.POSITIVE_INFINITY : cap * median(indices.map((index) => weights[index]));
  const out = new Array<number>(weights.length).fill(0);
  for (const index of indices) out[index] = Math.min(weights[index], bound);
  return out;
}

/** What became of each update. */
class Ledger {
  readonly scores: Record<string, (number | null)[]> = {};
  readonly #rejected: Rejection[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  reject(indices: readonly number[], reason: Reason): void {
    for (const index of indices) this.#rejected.push({ index, reason });
  }

  score(name: string, batch: Batch, scores: readonly number[]): void {
    const out = new Array<number | null>(this.#count).fill(null);
    for (const [row, indices] of batch.members.entries()) for (const index of indices) out[index] = scores[row];
    this.scores[name] = out;
  }

  close(): Pick<Aggregate, "rejected" | "scores"> {
    return { rejected: this.#rejected.toSorted((a, b) => a.index - b.index), scores: this.scores };
  }
}

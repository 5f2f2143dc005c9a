// Many updates into one: admit what can be used, run what stands before the rule, run the rule, and say of every update
// what became of it.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { Reducer } from "../math/reducer.ts";
import { norm } from "../math/vector.ts";
import type { Batch, Reason, Requirement } from "./rule.ts";
import { readSpecification } from "./specification.ts";
import type { Specification } from "./table.ts";
import { preAggregatorOf, ruleOf } from "./table.ts";

const NORM_MAX = (2 - 2 ** -23) * 2 ** 127; // the largest float32: a longer update overflows as soon as it is scaled

export interface AggregateOptions {
  /** One for each update, finite and not negative, at least one above 0. All 1 where absent. */
  readonly weights?: readonly number[];
  /** Values that an update must have. Where absent, all must agree. */
  readonly length?: number;
  /** Largest norm that is admitted. */
  readonly normMax?: number;
  /** The kernel to use; a shared one where absent. */
  readonly reducer?: Reducer;
}

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
export function aggregate(
  specification: Specification,
  deltas: readonly Float32Array[],
  options: AggregateOptions = {},
): Aggregate {
  const checked = readSpecification(specification);
  const reducer = options.reducer ?? sharedReducer();
  try {
    return run(reducer, checked, deltas, options);
  } finally {
    reducer.wipe();
  }
}

function run(
  reducer: Reducer,
  specification: Specification,
  deltas: readonly Float32Array[],
  options: AggregateOptions,
): Aggregate {
  const ledger = new Ledger(deltas.length);
  let batch = admit(reducer, deltas, options, ledger);
  for (const step of specification.before ?? []) {
    const before = preAggregatorOf(step);
    demand(before.name, before.requirement(step), batch);
    const prepared = before.prepare(reducer, batch, step);
    for (const { row, reason } of prepared.rejected) ledger.reject(batch.members[row], reason);
    if (prepared.scores !== undefined) ledger.score(before.name, batch, prepared.scores);
    batch = prepared.batch;
  }
  const rule = ruleOf(specification);
  demand(rule.name, rule.requirement(specification), batch);
  const { delta, selected, scores } = rule.combine(reducer, batch, specification);
  if (scores !== undefined) ledger.score(rule.name, batch, scores);
  const members = new Set(selected.flatMap((row) => batch.members[row]));
  return { delta, selected: [...members].sort((a, b) => a - b), ...ledger.close() };
}

/** Schema, length, finite, norm: what is checked before any rule sees an update. */
function admit(reducer: Reducer, deltas: readonly Float32Array[], options: AggregateOptions, ledger: Ledger): Batch {
  const length = lengthOf(deltas, options.length);
  const weights = weightsOf(deltas.length, options.weights);
  const normMax = Math.min(options.normMax ?? NORM_MAX, NORM_MAX);
  const batch = { length, rows: [] as Float32Array[], norms: [] as number[], weights: [] as number[] };
  const members: number[][] = [];
  const norms: (number | null)[] = [];
  for (const [index, delta] of deltas.entries()) {
    const size = delta.length === length ? norm(reducer, delta) : Number.NaN;
    const reason = delta.length === length ? problemOf(size, normMax) : "update.length";
    norms.push(Number.isFinite(size) ? size : null);
    if (reason !== undefined) {
      ledger.reject([index], reason);
      continue;
    }
    batch.rows.push(delta);
    batch.norms.push(size);
    batch.weights.push(weights[index]);
    members.push([index]);
  }
  ledger.scores.norm = norms;
  return { ...batch, members };
}

function problemOf(size: number, normMax: number): Reason | undefined {
  if (!Number.isFinite(size)) return "update.not_finite";
  return size > normMax ? "update.norm" : undefined;
}

function lengthOf(deltas: readonly Float32Array[], declared: number | undefined): number {
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

function weightsOf(count: number, weights: readonly number[] | undefined): readonly number[] {
  if (weights === undefined) return new Array<number>(count).fill(1);
  const fit = weights.length === count && weights.every((weight) => Number.isFinite(weight) && weight >= 0);
  if (!fit) throw new QflareError("aggregation.input", `expected ${count} finite weights, none negative`);
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum === 0 || !Number.isFinite(sum))
    throw new QflareError("aggregation.input", `expected weights of a finite sum above 0, got ${sum}`);
  return weights;
}

function demand(name: string, { updatesMin, updatesMax, words }: Requirement, batch: Batch): void {
  const count = batch.rows.length;
  if (count < updatesMin || count > (updatesMax ?? count)) {
    throw new QflareError("aggregation.precondition", `${name} needs ${words}, got n = ${count}`);
  }
  if (batch.weights.every((weight) => weight === 0)) {
    throw new QflareError("aggregation.precondition", "expected a weight above 0 among the updates that are left");
  }
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

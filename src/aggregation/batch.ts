// Operations on batches that rules and pre-aggregators share.

import type { Engine } from "../math/engine.ts";
import { type Blend, blendRows, pickRows, type Rows, rowCount } from "../math/rows.ts";
import type { Batch, Prepared, Reason, Weighted } from "./rule.ts";

/** Norms that are not given are taken when somebody asks for them. */
export function makeBatch(
  engine: Engine,
  rows: Rows,
  members: readonly (readonly number[])[],
  norms?: readonly number[],
): Batch {
  let known = norms;
  return {
    rows,
    members,
    get norms() {
      known ??= Array.from(engine.sum("squaredNorms", rows, {}), Math.sqrt);
      return known;
    },
  };
}

/** Norms stay untaken. */
export function withWeights(batch: Batch, weights: readonly number[]): Weighted {
  return {
    rows: batch.rows,
    members: batch.members,
    weights,
    get norms() {
      return batch.norms;
    },
  };
}

export function everyRow(batch: Batch): number[] {
  return Array.from({ length: rowCount(batch.rows) }, (_, row) => row);
}

/** Leaves out the rows that keep refuses. */
export function filtered(engine: Engine, batch: Batch, keep: (row: number) => boolean, reason: Reason): Prepared {
  const rows = everyRow(batch);
  const kept = rows.filter(keep);
  const left = makeBatch(
    engine,
    pickRows(batch.rows, kept),
    kept.map((row) => batch.members[row]),
    kept.map((row) => batch.norms[row]),
  );
  return { batch: left, rejected: rows.filter((row) => !keep(row)).map((row) => ({ row, reason })) };
}

/** The same updates, seen through blends of their rows. */
export function blended(engine: Engine, batch: Batch, blends: readonly Blend[]): Batch {
  return makeBatch(engine, blendRows(batch.rows, blends), batch.members);
}

/** Each row times its factor. */
export function scaled(engine: Engine, batch: Batch, factors: readonly number[]): Batch {
  if (factors.every((factor) => factor === 1)) return batch;
  const blends = factors.map((factor, row) => ({ of: [row], weights: [factor] }));
  const norms = batch.norms.map((size, row) => size * factors[row]);
  return makeBatch(engine, blendRows(batch.rows, blends), batch.members, norms);
}

/** Mean of some rows. */
export function meanOf(engine: Engine, batch: Batch, selected: readonly number[]): Float32Array<ArrayBuffer> {
  const weights = new Float64Array(rowCount(batch.rows));
  for (const row of selected) weights[row] = 1 / selected.length;
  return engine.map("rowsSum", batch.rows, { weights });
}

/** Mean of the two middle values where there is an even number of them. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
}

/** Positions from the least value to the largest; of equal values the first position comes first. */
export function ascending(values: ArrayLike<number>): number[] {
  return Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);
}

/** Factors that bring norms down to at most c; 1 for a zero vector. */
export function clipFactors(norms: readonly number[], c: number): number[] {
  return norms.map((size) => (size > c ? c / size : 1));
}

/**
 * A seed for choices that nobody may foresee: it depends on the last digit of every norm. Whoever knows all updates
 * can compute it, and that is the enclave alone.
 */
export function seedOf(norms: readonly number[]): number {
  const words = new Uint32Array(Float64Array.from(norms).buffer);
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (const word of words) {
    low = Math.imul(low ^ word ^ (high >>> 15), 0x85ebca6b);
    high = Math.imul(high ^ word ^ (low >>> 13), 0xc2b2ae35);
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

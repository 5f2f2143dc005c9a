// Operations on batches that rules and pre-aggregators share.

import type { Reducer } from "../math/reducer.ts";
import { norm } from "../math/vector.ts";
import type { Batch, Prepared, Reason } from "./rule.ts";

export function everyRow(batch: Batch): number[] {
  return batch.rows.map((_, row) => row);
}

function pick(batch: Batch, rows: readonly number[]): Batch {
  return {
    length: batch.length,
    rows: rows.map((row) => batch.rows[row]),
    norms: rows.map((row) => batch.norms[row]),
    weights: rows.map((row) => batch.weights[row]),
    members: rows.map((row) => batch.members[row]),
  };
}

/** Leaves out the rows that keep refuses. */
export function filtered(batch: Batch, keep: (row: number) => boolean, reason: Reason): Prepared {
  const rows = everyRow(batch);
  return {
    batch: pick(batch, rows.filter(keep)),
    rejected: rows.filter((row) => !keep(row)).map((row) => ({ row, reason })),
  };
}

/** The same updates, seen through other rows. */
export function replaced(reducer: Reducer, batch: Batch, rows: readonly Float32Array[]): Batch {
  return { ...batch, rows, norms: rows.map((row) => norm(reducer, row)) };
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

// Order statistics of each coordinate over many rows: median, trimmed mean, mean around the median. A sorting network
// works on slices of 64 coordinates, pruned to the ranks that enter the result.

import type { Comparators } from "./network.ts";
import { rankNetwork, selectionNetwork } from "./network.ts";
import { openPanel, type Panel } from "./panel.ts";
import type { Reducer } from "./reducer.ts";
import { type Rows, rowCount, type Vector } from "./rows.ts";
import { padded, unload } from "./vector.ts";

const SLICE = 64; // columns that a network sorts at once: 100 rows of them take 26 kB of a first-level cache
const PANEL = 512; // columns copied at once: fewer, longer copies
export const STRIDE = 4 * PANEL + 64; // bytes between the rows of a panel

export type Scales = readonly number[];

/** Mean of the two middle values where the number of rows is even. Row r counts as scales[r] * rows[r]. */
export function coordinateMedian(reducer: Reducer, rows: Rows, { scales }: { readonly scales?: Scales }): Vector {
  const count = rowCount(rows);
  return rangeMean(reducer, rows, Math.floor((count - 1) / 2), Math.floor(count / 2) + 1, scales);
}

/** Mean of what is left of each coordinate without its f smallest and f largest values; 2f < number of rows. */
export function trimmedMean(reducer: Reducer, rows: Rows, { f }: { readonly f: number }): Vector {
  return rangeMean(reducer, rows, f, rowCount(rows) - f);
}

/** Mean of the ranks low to high - 1 of each coordinate. */
function rangeMean(reducer: Reducer, rows: Rows, low: number, high: number, scales?: Scales): Vector {
  const comparators = reducer.network(selectionNetwork, rowCount(rows), low, high);
  const groups = Math.ceil((high - low) / 8);
  const out = new Float32Array(rows.length);
  const areas = [32 * groups, 8 * PANEL];
  const visit = ({ pointer, table, areas: [weights, sum] }: Panel, start: number, width: number): void => {
    reducer.f32.fill(0, weights / 4, weights / 4 + 8 * groups);
    reducer.f32.fill(1 / (high - low), weights / 4, weights / 4 + high - low);
    reducer.f64.fill(0, sum / 8, sum / 8 + PANEL);
    reducer.run.weightedSum(sum, table + 4 * low, weights, groups, padded(width));
    unload(reducer, sum, pointer, out, start, width);
  };
  eachPanel(reducer, { rows, comparators, areas, visit, scales });
  return out;
}

/**
 * Mean of the kept values of each coordinate that lie nearest to its median; kept <= number of rows. Of values as far
 * those of the first rows enter.
 */
export function meanAroundMedian(reducer: Reducer, rows: Rows, { kept }: { readonly kept: number }): Vector {
  const count = rowCount(rows);
  const [middle, other] = [(count - 1) >> 1, count >> 1];
  const first = Math.max(0, middle + 1 - kept); // no value of a lower rank is among the nearest
  const steps = Math.min(other, count - kept) - first;
  const comparators = reducer.network(rankNetwork, count, first, Math.max(first + steps + kept, other + 1));
  const out = new Float32Array(rows.length);
  const visit = (panel: Panel, start: number, width: number): void => {
    const { pointer, areas } = panel;
    const [mean] = areas;
    const ranks = { middle, other, first, steps, kept };
    const hasTies = reducer.run.meanAround(mean, pointer, STRIDE, middle, other, first, steps, kept, padded(width));
    const ties = hasTies === 0 ? [] : tiesOf(reducer, pointer, ranks, width);
    unload(reducer, mean, pointer, out, start, width);
    if (ties.length === 0) return;
    panel.load(start, width); // in the order of the rows again
    for (const tie of ties) out[start + tie.column] = meanBetween(reducer, pointer, count, kept, tie);
  };
  eachPanel(reducer, { rows, comparators, areas: [8 * PANEL], visit });
  return out;
}

/** A column whose values low and high are as far from its median, and of which not all can be kept. */
interface Tie {
  readonly column: number;
  readonly low: number;
  readonly high: number;
}

interface Ranks {
  readonly middle: number;
  readonly other: number;
  readonly first: number;
  readonly steps: number;
  readonly kept: number;
}

/** What the kernel's meanAround has seen, column by column: columns are sorted here. */
function tiesOf({ f32 }: Reducer, pointer: number, { middle, other, first, steps, kept }: Ranks, width: number): Tie[] {
  const ties: Tie[] = [];
  for (let column = 0; column < width; column++) {
    const ranked = (rank: number): number => f32[(pointer + rank * STRIDE) / 4 + column];
    const both = ranked(middle) + ranked(other);
    for (let rank = first; rank < first + steps; rank++) {
      const [low, high] = [ranked(rank), ranked(rank + kept)];
      if (low === high || low + high !== both) continue;
      ties.push({ column, low, high });
      break;
    }
  }
  return ties;
}

/** Mean of all that is between low and high, and of as many of these two as are kept, by the order of the rows. */
function meanBetween(
  { f32 }: Reducer,
  pointer: number,
  count: number,
  kept: number,
  { column, low, high }: Tie,
): number {
  const at = pointer / 4 + column;
  let sum = 0;
  let left = kept;
  for (let r = 0; r < count; r++) {
    const value = f32[at + (r * STRIDE) / 4];
    if (!(low < value && value < high)) continue;
    sum += value;
    left -= 1;
  }
  for (let r = 0; r < count && left > 0; r++) {
    const value = f32[at + (r * STRIDE) / 4];
    if (value !== low && value !== high) continue;
    sum += value;
    left -= 1;
  }
  return sum / kept;
}

export interface Walk {
  readonly rows: Rows;
  readonly comparators: Comparators;
  /** Byte lengths of scratch that visit wants. */
  readonly areas: readonly number[];
  readonly visit: (panel: Panel, start: number, width: number) => void;
  readonly scales?: Scales | undefined;
}

/** Copies panels of columns to the kernel, applies the comparators, and shows each to visit. */
export function eachPanel(reducer: Reducer, { rows, comparators, areas, visit, scales }: Walk): void {
  const spareRows = 8; // a sum over groups of eight reads past the last row, with weight 0
  const panel = openPanel(reducer, rows, { columns: PANEL, spareRows, areas: [...areas, comparators.byteLength] });
  const network = panel.areas.at(-1)!;
  new Uint16Array(reducer.f32.buffer).set(comparators, network / 2);
  for (let start = 0; start < rows.length; start += PANEL) {
    const width = Math.min(PANEL, rows.length - start);
    panel.load(start, width);
    for (const [r, factor] of scales?.entries() ?? []) {
      if (factor !== 1) reducer.run.scale(panel.pointer + r * STRIDE, padded(width), factor);
    }
    for (let slice = 0; slice < width; slice += SLICE) {
      reducer.run.exchange(panel.pointer + 4 * slice, STRIDE, SLICE, network, comparators.length / 2);
    }
    visit(panel, start, width);
  }
}

// Panels: slices of columns of all rows, side by side in the kernel's memory. Blends are made on the way in; rows that
// lie in that memory are copied only for those who write to them.

import type { Reducer } from "./reducer.ts";
import type { Blend, Rows } from "./rows.ts";
import { rowCount } from "./rows.ts";
import { load, padded, place } from "./vector.ts";

const GROUP = 8; // rows that the kernel adds at once

export interface Panel {
  /** Offset of the first row. Rows lie stride bytes apart; behind the last are rows of zeros, as many as asked for. */
  readonly pointer: number;
  readonly stride: number;
  /** Offset of the pointers of all these rows: elsewhere than in the panel only for those who read in place. */
  readonly table: number;
  /** Offsets of the areas that were asked for. */
  readonly areas: readonly number[];
  /** Shows width columns from start, width at most the panel's, padded with zeros to the kernel's step. */
  load(start: number, width: number): void;
  /** The pointer of a row. */
  row(index: number): number;
}

export interface PanelOptions {
  readonly columns: number;
  /** Rows of zeros behind the last row. */
  readonly spareRows?: number;
  /** Byte lengths of scratch beside the panel. */
  readonly areas?: readonly number[];
  /** Whether rows may be shown where they lie, since nobody writes to them. */
  readonly inPlace?: boolean;
}

/** Lays out the reducer's memory anew: one panel at a time. */
export function openPanel(reducer: Reducer, rows: Rows, options: PanelOptions): Panel {
  const { columns, spareRows = 0, areas = [], inPlace = false } = options;
  const stride = 4 * columns + 64; // bytes; rows a power of two apart would share one cache set
  const count = rowCount(rows) + spareRows;
  const mixer = rows.blends === undefined ? undefined : new Mixer(reducer, rows.given, rows.blends, columns);
  const [pointer, table, ...rest] = reducer.reserve(count * stride, 4 * count, ...areas, ...(mixer?.areas ?? [])) as [
    number,
    number,
    ...number[],
  ];
  reducer.f32.fill(0, pointer / 4, (pointer + count * stride) / 4);
  for (let r = 0; r < count; r++) reducer.u32[table / 4 + r] = pointer + r * stride;
  mixer?.place(rest.splice(areas.length));
  const show = inPlace ? place : copy;
  const loadGiven = (start: number, width: number): void => {
    for (const [r, row] of rows.given.entries()) {
      reducer.u32[table / 4 + r] = show(reducer, pointer + r * stride, row, start, width);
    }
  };
  return {
    ...{ pointer, stride, table, areas: rest },
    load: mixer === undefined ? loadGiven : (start, width) => mixer.load(pointer, stride, start, width),
    row: (index) => reducer.u32[table / 4 + index],
  };
}

function copy(reducer: Reducer, pointer: number, row: Float32Array, start: number, width: number): number {
  load(reducer, pointer, row, start, width);
  return pointer;
}

/** Makes blends of the given rows, panel by panel. */
class Mixer {
  /** Byte lengths: given rows, their pointers, weights, sum. */
  readonly areas: readonly number[];
  readonly #reducer: Reducer;
  readonly #given: readonly Float32Array[];
  readonly #blends: readonly Blend[];
  readonly #runs: readonly Run[][];
  readonly #stride: number;
  readonly #groups: number;
  #base = 0;
  #table = 0;
  #weights = 0;
  #sum = 0;

  constructor(reducer: Reducer, given: readonly Float32Array[], blends: readonly Blend[], columns: number) {
    this.#reducer = reducer;
    this.#given = given;
    this.#blends = blends;
    this.#runs = blends.map((blend) => runsOf(blend));
    this.#stride = 4 * columns + 64;
    this.#groups = Math.ceil(given.length / GROUP);
    const count = this.#groups * GROUP;
    this.areas = [count * this.#stride, 4 * count, 4 * count * blends.length, 8 * columns];
  }

  place([base, table, weights, sum]: readonly number[]): void {
    const { f32, u32 } = this.#reducer;
    [this.#base, this.#table, this.#weights, this.#sum] = [base, table, weights, sum];
    const count = this.#groups * GROUP;
    f32.fill(0, (base + this.#given.length * this.#stride) / 4, (base + count * this.#stride) / 4);
    for (let r = 0; r < count; r++) u32[table / 4 + r] = base + r * this.#stride;
    f32.fill(0, weights / 4, weights / 4 + count * this.#blends.length);
    for (const [i, blend] of this.#blends.entries()) {
      for (const [k, row] of blend.of.entries()) f32[weights / 4 + i * count + row] = blend.weights[k];
    }
  }

  load(pointer: number, stride: number, start: number, width: number): void {
    const { run, f64, u32 } = this.#reducer;
    const length = padded(width);
    for (const [r, row] of this.#given.entries()) {
      u32[this.#table / 4 + r] = place(this.#reducer, this.#base + r * this.#stride, row, start, width);
    }
    for (const [i, runs] of this.#runs.entries()) {
      f64.fill(0, this.#sum / 8, this.#sum / 8 + length);
      const weights = this.#weights + 4 * GROUP * this.#groups * i;
      for (const { first, groups } of runs) {
        const at = 4 * GROUP * first;
        run.weightedSum(this.#sum, this.#table + at, weights + at, groups, length);
      }
      run.narrow(pointer + i * stride, this.#sum, length);
    }
  }
}

/** Groups of rows side by side that have a weight. */
interface Run {
  readonly first: number;
  readonly groups: number;
}

function runsOf(blend: Blend): Run[] {
  const groups = [...new Set(blend.of.map((row) => Math.floor(row / GROUP)))].sort((a, b) => a - b);
  const runs: { first: number; groups: number }[] = [];
  for (const group of groups) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.groups === group) last.groups += 1;
    else runs.push({ first: group, groups: 1 });
  }
  return runs;
}

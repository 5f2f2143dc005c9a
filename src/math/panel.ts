// Panels: slices of columns of all rows, side by side in the kernel's memory. Blends are made on the way in.

import type { Reducer } from "./reducer.ts";
import type { Blend, Rows } from "./rows.ts";
import { rowCount } from "./rows.ts";
import { load, padded } from "./vector.ts";

const GROUP = 8; // rows that the kernel adds at once

export interface Panel {
  /** Offset of the first row. Rows lie stride bytes apart; behind the last are rows of zeros, as many as asked for. */
  readonly pointer: number;
  readonly stride: number;
  /** Offsets of the areas that were asked for. */
  readonly areas: readonly number[];
  /** Copies width columns from start, width at most the panel's, padded with zeros to the kernel's step. */
  load(start: number, width: number): void;
}

export interface PanelOptions {
  readonly columns: number;
  /** Rows of zeros behind the last row. */
  readonly spareRows?: number;
  /** Byte lengths of scratch beside the panel. */
  readonly areas?: readonly number[];
}

/** Lays out the reducer's memory anew: one panel at a time. */
export function openPanel(reducer: Reducer, rows: Rows, options: PanelOptions): Panel {
  const { columns, spareRows = 0, areas = [] } = options;
  const stride = 4 * columns + 64; // bytes; rows a power of two apart would share one cache set
  const panelBytes = (rowCount(rows) + spareRows) * stride;
  const mixer = rows.blends === undefined ? undefined : new Mixer(reducer, rows.given, rows.blends, columns);
  const [pointer, ...rest] = reducer.reserve(panelBytes, ...areas, ...(mixer?.areas ?? []));
  reducer.f32.fill(0, pointer / 4, (pointer + panelBytes) / 4);
  mixer?.place(rest.splice(areas.length));
  const loadGiven = (start: number, width: number): void => {
    for (const [r, row] of rows.given.entries()) load(reducer, pointer + r * stride, row, start, width);
  };
  return {
    pointer,
    stride,
    areas: rest,
    load: mixer === undefined ? loadGiven : (start, width) => mixer.load(pointer, stride, start, width),
  };
}

/** Makes blends of the given rows, panel by panel. */
class Mixer {
  /** Byte lengths: given rows, weights, sum. */
  readonly areas: readonly number[];
  readonly #reducer: Reducer;
  readonly #given: readonly Float32Array[];
  readonly #blends: readonly Blend[];
  readonly #runs: readonly Run[][];
  readonly #stride: number;
  readonly #groups: number;
  #base = 0;
  #weights = 0;
  #sum = 0;

  constructor(reducer: Reducer, given: readonly Float32Array[], blends: readonly Blend[], columns: number) {
    this.#reducer = reducer;
    this.#given = given;
    this.#blends = blends;
    this.#runs = blends.map((blend) => runsOf(blend));
    this.#stride = 4 * columns + 64;
    this.#groups = Math.ceil(given.length / GROUP);
    const rowsBytes = this.#groups * GROUP * this.#stride;
    this.areas = [rowsBytes, 4 * GROUP * this.#groups * blends.length, 8 * columns];
  }

  place([base, weights, sum]: readonly number[]): void {
    const { f32 } = this.#reducer;
    [this.#base, this.#weights, this.#sum] = [base, weights, sum];
    f32.fill(0, base / 4, (base + this.areas[0]) / 4);
    f32.fill(0, weights / 4, (weights + this.areas[1]) / 4);
    for (const [i, blend] of this.#blends.entries()) {
      const at = weights / 4 + i * GROUP * this.#groups;
      for (const [k, row] of blend.of.entries()) f32[at + row] = blend.weights[k];
    }
  }

  load(pointer: number, stride: number, start: number, width: number): void {
    const { run, f64 } = this.#reducer;
    const length = padded(width);
    for (const [r, row] of this.#given.entries()) load(this.#reducer, this.#base + r * this.#stride, row, start, width);
    for (const [i, runs] of this.#runs.entries()) {
      f64.fill(0, this.#sum / 8, this.#sum / 8 + length);
      const weights = this.#weights + 4 * GROUP * this.#groups * i;
      for (const { first, groups } of runs) {
        const rows = this.#base + first * GROUP * this.#stride;
        run.weightedSum(this.#sum, rows, this.#stride, weights + 4 * GROUP * first, groups, length);
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

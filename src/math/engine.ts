// Runs operations over rows in pieces of columns. The pieces do not depend on who computes them: any number of threads
// gives the same bits.

import type { MapName, MapParameters, SumName, SumParameters } from "./operations.ts";
import { MAPS, SUMS } from "./operations.ts";
import type { Reducer } from "./reducer.ts";
import type { Rows, Vector } from "./rows.ts";
import { cutRows } from "./rows.ts";
import { weightedSum } from "./vector.ts";

/** Columns of a piece: a multiple of every panel's. */
export const PIECE = 2 ** 16;

export interface Engine {
  map<N extends MapName>(name: N, rows: Rows, parameters: MapParameters<N>): Vector;
  sum<N extends SumName>(name: N, rows: Rows, parameters: SumParameters<N>): Float64Array;
  /** The map rowsSum and the sum squaredNorms together. Rows without blends, no weight of 0. */
  measuredSum(rows: Rows, weights: ArrayLike<number>): MeasuredSum;
}

export interface MeasuredSum {
  readonly sum: Vector;
  readonly squares: Float64Array;
}

type Mapping = (reducer: Reducer, rows: Rows, parameters: object) => Vector;
type Summing = (reducer: Reducer, rows: Rows, parameters: object) => Float64Array;

/** The values of one piece. */
export function mapPiece(reducer: Reducer, name: MapName, rows: Rows, parameters: object, piece: number): Vector {
  return (MAPS[name] as Mapping)(reducer, pieceOf(rows, piece), parameters);
}

/** The part of the sums that one piece gives. */
export function sumPiece(reducer: Reducer, name: SumName, rows: Rows, parameters: object, piece: number): Float64Array {
  return (SUMS[name] as Summing)(reducer, pieceOf(rows, piece), parameters);
}

export function pieceCount(rows: Rows): number {
  return Math.ceil(rows.length / PIECE);
}

function pieceOf(rows: Rows, piece: number): Rows {
  return cutRows(rows, piece * PIECE, Math.min(rows.length, (piece + 1) * PIECE));
}

/** On the thread that calls. */
export class LocalEngine implements Engine {
  readonly #reducer: Reducer;

  constructor(reducer: Reducer) {
    this.#reducer = reducer;
  }

  map<N extends MapName>(name: N, rows: Rows, parameters: MapParameters<N>): Vector {
    const out = new Float32Array(rows.length);
    for (let piece = 0; piece < pieceCount(rows); piece++) {
      out.set(mapPiece(this.#reducer, name, rows, parameters, piece), piece * PIECE);
    }
    return out;
  }

  sum<N extends SumName>(name: N, rows: Rows, parameters: SumParameters<N>): Float64Array {
    const out = sumPiece(this.#reducer, name, rows, parameters, 0);
    for (let piece = 1; piece < pieceCount(rows); piece++) {
      addInto(out, sumPiece(this.#reducer, name, rows, parameters, piece));
    }
    return out;
  }

  /** Reads the rows once: memory is slower than both. */
  measuredSum(rows: Rows, weights: ArrayLike<number>): MeasuredSum {
    const sum = new Float32Array(rows.length);
    const squares = new Float64Array(rows.given.length);
    for (let piece = 0; piece < pieceCount(rows); piece++) {
      const { given, length } = pieceOf(rows, piece);
      const part = new Float64Array(given.length); // added up in the order of the sum squaredNorms
      sum.set(weightedSum(this.#reducer, given, weights, length, part), piece * PIECE);
      addInto(squares, part);
    }
    return { sum, squares };
  }
}

export function addInto(out: Float64Array, more: Float64Array): void {
  for (let i = 0; i < out.length; i++) out[i] += more[i];
}

// An engine that shares the pieces of an operation out among threads. The thread that runs the rule takes pieces like
// the others and then waits for them, so that rules stay plain synchronous code.

import type { Worker } from "node:worker_threads";
import { addInto, type Engine, type MeasuredSum, mapPiece, PIECE, pieceCount, sumPiece } from "../math/engine.ts";
import { type MapName, type MapParameters, type SumName, type SumParameters, sumLength } from "../math/operations.ts";
import type { Reducer } from "../math/reducer.ts";
import type { Rows, Vector } from "../math/rows.ts";
import { shared } from "./pool.ts";

/** One operation. Its pieces are numbered; whoever adds 1 to next has the piece of that number. */
export type Operation = {
  readonly rows: Rows;
  readonly parameters: object;
  /** next, threads that are done, threads that failed. */
  readonly control: Int32Array;
} & ({ readonly map: MapName; readonly out: Float32Array } | { readonly sum: SumName; readonly out: Float64Array });

const [NEXT, DONE, FAILED] = [0, 1, 2];

/** Takes pieces until there are none left. */
function work(reducer: Reducer, operation: Operation): void {
  const { rows, parameters, control } = operation;
  const pieces = pieceCount(rows);
  for (let piece = Atomics.add(control, NEXT, 1); piece < pieces; piece = Atomics.add(control, NEXT, 1)) {
    if ("map" in operation) {
      operation.out.set(mapPiece(reducer, operation.map, rows, parameters, piece), piece * PIECE);
    } else {
      const part = sumPiece(reducer, operation.sum, rows, parameters, piece);
      operation.out.set(part, piece * part.length);
    }
  }
}

/** What a helping thread does with an operation. The one that waits must be woken whatever happens. */
export function help(reducer: Reducer, operation: Operation): void {
  const { control } = operation;
  try {
    work(reducer, operation);
  } catch {
    Atomics.add(control, FAILED, 1);
  } finally {
    reducer.wipe();
    Atomics.add(control, DONE, 1);
    Atomics.notify(control, DONE);
  }
}

export class PoolEngine implements Engine {
  readonly #reducer: Reducer;
  readonly #helpers: readonly Worker[];
  readonly #copies: Float32Array[] = [];
  readonly #shared = new WeakMap<Float32Array, Float32Array>();

  constructor(reducer: Reducer, helpers: readonly Worker[]) {
    this.#reducer = reducer;
    this.#helpers = helpers;
  }

  map<N extends MapName>(name: N, rows: Rows, parameters: MapParameters<N>): Vector {
    const out = new Float32Array(new SharedArrayBuffer(4 * rows.length));
    this.#run({ map: name, rows: this.#share(rows), parameters, out, control: makeControl() });
    return new Float32Array(out);
  }

  sum<N extends SumName>(name: N, rows: Rows, parameters: SumParameters<N>): Float64Array {
    const length = sumLength(name, rows, parameters);
    const out = new Float64Array(new SharedArrayBuffer(8 * length * pieceCount(rows)));
    this.#run({ sum: name, rows: this.#share(rows), parameters, out, control: makeControl() });
    const total = new Float64Array(out.subarray(0, length));
    for (let at = length; at < out.length; at += length) addInto(total, out.subarray(at, at + length));
    return total;
  }

  measuredSum(rows: Rows, weights: ArrayLike<number>): MeasuredSum {
    return { squares: this.sum("squaredNorms", rows, {}), sum: this.map("rowsSum", rows, { weights }) };
  }

  /** Overwrites the copies that were made for the threads. */
  wipe(): void {
    for (const copy of this.#copies.splice(0)) copy.fill(0);
  }

  #run(operation: Operation): void {
    const { control } = operation;
    for (const helper of this.#helpers) helper.postMessage(operation);
    try {
      work(this.#reducer, operation);
    } finally {
      // Whatever happened here: the others still read the rows.
      for (let done = 0; done < this.#helpers.length; done = Atomics.load(control, DONE)) {
        Atomics.wait(control, DONE, done);
      }
    }
    if (Atomics.load(control, FAILED) > 0) throw new RangeError(`Cannot aggregate: a thread failed`);
  }

  #share(rows: Rows): Rows {
    return { ...rows, given: rows.given.map((row) => this.#shareRow(row)) };
  }

  #shareRow(row: Float32Array): Float32Array {
    const known = this.#shared.get(row) ?? shared(row, this.#copies);
    this.#shared.set(row, known);
    return known;
  }
}

function makeControl(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(12));
}

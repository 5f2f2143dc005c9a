// An engine that takes the weighted sum of updates while it measures their norms, in the hope that none is rejected:
// the mean is bound by memory, so that reading the updates twice would cost twice. Where one is rejected, the sum is
// taken again without it.

import type { Engine, MeasuredSum } from "../math/engine.ts";
import type { MapName, MapParameters, SumName, SumParameters } from "../math/operations.ts";
import type { Rows, Vector } from "../math/rows.ts";

export class Foresight implements Engine {
  readonly #engine: Engine;
  readonly #weights: Float64Array;
  #rows: Rows = { given: [], length: 0 };
  #sum: Vector | undefined;

  /** weights: of the sum, should all updates be in it; none 0. */
  constructor(engine: Engine, weights: Float64Array) {
    this.#engine = engine;
    this.#weights = weights;
  }

  sum<N extends SumName>(name: N, rows: Rows, parameters: SumParameters<N>): Float64Array {
    if (name !== "squaredNorms" || rows.blends !== undefined || rows.given.length !== this.#weights.length) {
      return this.#engine.sum(name, rows, parameters);
    }
    const { sum, squares } = this.measuredSum(rows, this.#weights);
    [this.#rows, this.#sum] = [rows, sum];
    return squares;
  }

  map<N extends MapName>(name: N, rows: Rows, parameters: MapParameters<N>): Vector {
    const isForeseen = name === "rowsSum" && this.#isForeseen(rows, (parameters as MapParameters<"rowsSum">).weights);
    return isForeseen ? this.#sum! : this.#engine.map(name, rows, parameters);
  }

  measuredSum(rows: Rows, weights: ArrayLike<number>): MeasuredSum {
    return this.#engine.measuredSum(rows, weights);
  }

  /** Overwrites the sum, which may hold updates that were rejected, unless it is the one that is used. */
  forget(used: Vector): void {
    if (this.#sum !== used) this.#sum?.fill(0);
  }

  #isForeseen({ given, blends }: Rows, weights: ArrayLike<number>): boolean {
    const known = this.#rows.given;
    const isSame = blends === undefined && this.#sum !== undefined && given.length === known.length;
    return isSame && given.every((row, r) => row === known[r] && weights[r] === this.#weights[r]);
  }
}

// Points that are weighted sums of the rows, handled by their coefficients: distances from such a point to every row
// follow from the distances between rows, so that iterations cost n^2 and not n D.
//
// A row that is very long would drown the others: squares of its length stand in sums whose result is as small as the
// others' differences. Such a row is looked at through a point on its way from an ordinary row; where it lies itself
// follows from that by a factor.

import type { Engine } from "../math/engine.ts";
import type { Distances } from "../math/pairs.ts";
import { squaredDistances } from "../math/pairs.ts";
import { blendRows, type Rows } from "../math/rows.ts";
import { ascending, clipFactors } from "./batch.ts";

/** In lengths of the row of median norm: what keeps 14 of 24 bits where distances come from products in float32. */
const REACH = 2 ** 10;
/** Of the longest row: shares of the way to it stay numbers that float32 has. */
const SHARE_MIN = 2 ** -120;

export class Frame {
  readonly #count: number;
  /** Between the points: the rows themselves, but for those that are very long. */
  readonly #squared: Float64Array;
  /** The row of the upper median norm: fewer than half of the rows cannot make it a long one. */
  readonly #near: number;
  /** At which share of the way from the near row to each row its point lies. */
  readonly #shares: readonly number[];
  readonly #isPlain: boolean;

  constructor(engine: Engine, rows: Rows, norms: readonly number[]) {
    const order = ascending(norms);
    this.#near = order[order.length >> 1];
    const reach = Math.max(REACH * norms[this.#near], SHARE_MIN * norms[order.at(-1)!]);
    this.#shares = clipFactors(norms, reach).map(Math.fround);
    this.#isPlain = this.#shares.every((share) => share === 1);
    const points = this.#isPlain ? rows : this.#pointsOf(rows);
    const sizes = norms.map((size, row) => size * this.#shares[row]);
    const { count, squared }: Distances = squaredDistances(engine, points, sizes);
    [this.#count, this.#squared] = [count, squared];
  }

  /** From the point sum a[j] * rows[j] to every row; the coefficients a sum to 1. */
  distancesFrom(a: ArrayLike<number>): Float64Array {
    return (this.#isPlain ? this.#squaresFrom(a) : this.#squaresByWay(a)).map(Math.sqrt);
  }

  /** Inner product of rows[i] - rows[k] and rows[j] - rows[k]. */
  inner(k: number, i: number, j: number): number {
    if (this.#isPlain) return (this.#between(k, i) + this.#between(k, j) - this.#between(i, j)) / 2;
    const product = (x: number, y: number): number => this.#product(x, y) / this.#shares[x] / this.#shares[y];
    return product(i, j) - product(i, k) - product(j, k) + product(k, k);
  }

  /** The largest change of a coefficient; of a long row a small share moves the point far. */
  change(before: Float64Array, after: Float64Array): number {
    const changeOf = (j: number): number => Math.abs(after[j] - before[j]) / Math.max(this.#shares[j], after[j]);
    return after.reduce((most, _, j) => Math.max(most, changeOf(j)), 0);
  }

  #pointsOf(rows: Rows): Rows {
    const blends = this.#shares.map((share, row) =>
      share === 1 ? { of: [row], weights: [1] } : { of: [this.#near, row], weights: [1 - share, share] },
    );
    return blendRows(rows, blends);
  }

  /** |z - x_i|^2 = sum_j a_j D_ij - 1/2 sum_jk a_j a_k D_jk. */
  #squaresFrom(a: ArrayLike<number>): Float64Array {
    const out = new Float64Array(this.#count);
    let spread = 0;
    for (let i = 0; i < this.#count; i++) {
      let sum = 0;
      for (let j = 0; j < this.#count; j++) sum += a[j] * this.#between(i, j);
      out[i] = sum;
      spread += a[i] * sum;
    }
    return out.map((sum) => Math.max(0, sum - spread / 2));
  }

  #between(i: number, j: number): number {
    return this.#squared[i * this.#count + j];
  }

  /** With y the points less the near row and t their shares: z - x_i = sum_j a_j / t_j y_j - y_i / t_i. */
  #squaresByWay(a: ArrayLike<number>): Float64Array {
    const long = Float64Array.from(a, (value, j) => value / this.#shares[j]);
    const products = long.map((_, i) => long.reduce((sum, value, j) => sum + value * this.#product(i, j), 0));
    const way = long.reduce((sum, value, i) => sum + value * products[i], 0);
    return products.map((product, i) => {
      const share = this.#shares[i];
      return Math.max(0, way - (2 * product) / share + this.#product(i, i) / share ** 2);
    });
  }

  /** Inner product of two points less the near row. */
  #product(i: number, j: number): number {
    return (this.#between(i, this.#near) + this.#between(j, this.#near) - this.#between(i, j)) / 2;
  }
}

/** Values divided by their sum. */
export function shares(values: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(values);
  const sum = out.reduce((a, b) => a + b, 0);
  return out.map((value) => value / sum);
}

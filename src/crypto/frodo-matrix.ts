// The public matrix A of a FrodoKEM key, made from seedA stripe by stripe (Frodo.Gen).

import type { FrodoMemory } from "./frodo-kernel.ts";
import type { FrodoParameters } from "./frodo-parameters.ts";
import type { FrodoPrimitives, RowSource } from "./frodo-primitives.ts";

/** Sees `rows` rows of A, a multiple of four, at an address of linear memory. */
export type StripeVisitor = (address: number, rowFirst: number, rows: number) => void;

/**
 * A stripe, its blocks before the cipher and the two buffers behind it stay in a second-level cache of 1 MiB; each one
 * costs a call of the cipher, of 3 microseconds.
 */
const STRIPE_BYTES_MAX = 205_000; // 160 rows at n = 640

export class FrodoMatrix {
  readonly matrixBytes: number;
  readonly stripeRowsMax: number;
  readonly #memory: FrodoMemory;
  readonly #n: number;
  readonly #rowBytes: number;
  readonly #rows: RowSource;
  readonly #stripe: number;

  constructor(memory: FrodoMemory, { n, generator }: FrodoParameters, primitives: FrodoPrimitives) {
    this.#memory = memory;
    this.#n = n;
    this.#rowBytes = 2 * n;
    this.#rows = primitives.rows(generator, n);
    this.matrixBytes = n * this.#rowBytes;
    this.stripeRowsMax = 4 * Math.floor(STRIPE_BYTES_MAX / (4 * this.#rowBytes));
    this.#stripe = memory.reserve(this.stripeRowsMax * this.#rowBytes);
  }

  /** Visits stripes that are made in one place, one after the other. */
  visitOnce(seedA: Uint8Array, visit: StripeVisitor): void {
    const write = this.#rows(seedA);
    this.#forEachStripe((rowFirst, rows) => {
      write(this.#memory.view(this.#stripe, rows * this.#rowBytes), rowFirst);
      visit(this.#stripe, rowFirst, rows);
    });
  }

  /** Writes all of A, matrixBytes, to address. */
  make(seedA: Uint8Array, address: number): void {
    const write = this.#rows(seedA);
    this.#forEachStripe((rowFirst, rows) =>
      write(this.#memory.view(address + rowFirst * this.#rowBytes, rows * this.#rowBytes), rowFirst),
    );
  }

  /** Visits the stripes of an A that make() wrote to address. */
  visitMade(address: number, visit: StripeVisitor): void {
    this.#forEachStripe((rowFirst, rows) => visit(address + rowFirst * this.#rowBytes, rowFirst, rows));
  }

  #forEachStripe(each: (rowFirst: number, rows: number) => void): void {
    for (let row = 0; row < this.#n; row += this.stripeRowsMax) each(row, Math.min(this.stripeRowsMax, this.#n - row));
  }
}

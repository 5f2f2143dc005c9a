// Rows of float32 inside the memory of the kernel that reduces them, where it reads them without copying. They are used
// again from one round to the next.

import { Reducer } from "../math/reducer.ts";
import type { Vector } from "../math/rows.ts";

const ADDRESSES = 2 ** 32 - 2 ** 18; // of wasm32, with some left so that no end of a row is beyond them
const PAGE_BYTES = 4096;
const SKEW_BYTES = 33 * 64; // half a page and a line: the same columns of a few rows spread over all cache sets

/**
 * Scratch that reductions of count rows need at most: two panels of 1024 columns, products and weights of all pairs,
 * and what does not grow with the rows or hardly does. Only what is used takes memory.
 */
function scratchBytesMax(count: number): number {
  return 2 ** 21 + 10_240 * count + 16 * count ** 2;
}

export class RowArena {
  #reducer: Reducer | undefined;
  #count = 0;
  #length = 0;
  #free: Vector[] = [];
  readonly #out: Vector[] = [];

  /** reducer: whose memory is used; one of its own where absent, made when there are rows. */
  constructor(reducer?: Reducer) {
    this.#reducer = reducer;
  }

  /** What to reduce these rows with. */
  get reducer(): Reducer {
    this.#reducer ??= new Reducer();
    return this.#reducer;
  }

  /**
   * Makes room for count rows of length values, and for reductions of as many with the kernel. All rows are taken back
   * first, because a memory that grows detaches them.
   */
  open(count: number, length: number): void {
    this.wipe();
    if (length === this.#length && count <= this.#count) return;
    [this.#count, this.#length] = [count, length];
    this.#free = this.#layOut();
  }

  /** A row of zeros. Behind those that the memory has room for come others, which the kernel has to copy. */
  take(): Vector {
    const row = this.#free.pop() ?? new Float32Array(this.#length);
    this.#out.push(row);
    return row;
  }

  /** Overwrites all rows that are out and takes them back. */
  wipe(): void {
    for (const row of this.#out.splice(0)) {
      row.fill(0);
      if (this.reducer.holds(row)) this.#free.push(row);
    }
  }

  /** The first to be taken last. */
  #layOut(): Vector[] {
    const rowBytes = Math.ceil((4 * this.#length) / PAGE_BYTES) * PAGE_BYTES + SKEW_BYTES;
    const scratchBytes = scratchBytesMax(this.#count);
    const fitting = Math.max(0, Math.floor((ADDRESSES - scratchBytes) / rowBytes));
    const count = Math.min(this.#count, fitting);
    const start = this.#reserve(scratchBytes, count * rowBytes);
    if (start === undefined) return [];
    const { buffer } = this.reducer.f32;
    const rows = Array.from({ length: count }, (_, r) => new Float32Array(buffer, start + r * rowBytes, this.#length));
    return rows.reverse();
  }

  /** undefined where the machine does not give so much. */
  #reserve(scratchBytes: number, rowsBytes: number): number | undefined {
    try {
      return this.reducer.reserveRows(scratchBytes, rowsBytes);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }
}

// Rows of float32 inside the memory of the kernel that reduces them, where it reads them without copying. They are used
// again from one round to the next.

import { Reducer } from "../math/reducer.ts";
import type { Vector } from "../math/rows.ts";

const ADDRESSES = 2 ** 32 - 2 ** 18; // of wasm32, with some left so that no end of a row is beyond them
const KEPT_BYTES = 2 ** 26; // however few of them are needed
const PAGE_BYTES = 4096;
const SKEW_BYTES = 33 * 64; // half a page and a line: the same columns of a few rows spread over all cache sets

/**
 * Scratch that reductions of count rows need at most: two panels of 1024 columns, products and weights of all pairs,
 * and what does not grow with the rows or hardly does. Only what is used takes memory.
 */
function scratchBytesMax(count: number): number {
  return 2 ** 21 + 10_240 * count + 16 * count ** 2;
}

function rowBytesOf(length: number): number {
  return Math.ceil((4 * length) / PAGE_BYTES) * PAGE_BYTES + SKEW_BYTES;
}

export class RowArena {
  #reducer = new Reducer();
  #length = 0;
  /** Rows of that length that there is room for inside. */
  #laidOut = 0;
  #free: Vector[] = [];
  readonly #out: Vector[] = [];

  /** What to reduce these rows with, until others are opened. */
  get reducer(): Reducer {
    return this.#reducer;
  }

  /**
   * Makes room for count rows of length values, and for reductions of as many with the kernel. All rows are taken back
   * first, because a memory that grows detaches them. A large memory of which less than half is needed is given up,
   * since it cannot shrink: one round of many devices is not paid for by all that follow.
   */
  open(count: number, length: number): void {
    this.wipe();
    const neededBytes = scratchBytesMax(count) + count * rowBytesOf(length);
    const heldBytes = this.#reducer.f32.byteLength;
    if (heldBytes > KEPT_BYTES && neededBytes < heldBytes / 2) this.#reducer = new Reducer();
    else if (length === this.#length && count <= this.#laidOut) return;
    this.#free = this.#layOut(count, length);
    [this.#laidOut, this.#length] = [this.#free.length, length];
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
      if (this.#reducer.holds(row)) this.#free.push(row);
    }
  }

  /** The first to be taken last. Fewer where there are not addresses, or the machine has not memory, for all. */
  #layOut(wanted: number, length: number): Vector[] {
    const rowBytes = rowBytesOf(length);
    const scratchBytes = scratchBytesMax(wanted);
    const fitting = Math.max(0, Math.floor((ADDRESSES - scratchBytes) / rowBytes));
    for (let count = Math.min(wanted, fitting); count > 0; count >>= 1) {
      const start = this.#reserve(scratchBytes, count * rowBytes);
      if (start === undefined) continue;
      const { buffer } = this.#reducer.f32;
      return Array.from({ length: count }, (_, r) => new Float32Array(buffer, start + r * rowBytes, length)).reverse();
    }
    this.#reducer.reserveRows(0, 0);
    return [];
  }

  /** undefined where the machine does not give so much. */
  #reserve(scratchBytes: number, rowsBytes: number): number | undefined {
    try {
      return this.#reducer.reserveRows(scratchBytes, rowsBytes);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }
}

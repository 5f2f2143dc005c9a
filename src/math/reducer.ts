// The kernel of reductions and its memory: scratch, and behind it rows, where somebody has laid out some. Rows that
// lie elsewhere are copied through the scratch in blocks, so it depends on the number of rows and the size of a block,
// never on the length of a row.

import type { Kernel } from "../core/kernel.ts";
import { startKernel } from "../core/kernel.ts";
import type { Comparators } from "./network.ts";
import reduce from "./wasm/reduce.ts";

const PAGE_BYTES = 65536;
const SCRATCH_START = 1024;

interface Exports {
  weightedSum(out: number, table: number, weights: number, groups: number, length: number): void;
  measuredSum(
    out: number,
    table: number,
    weights: number,
    lanes: number,
    count: number,
    length: number,
    tile: number,
  ): void;
  narrow(out: number, x: number, length: number): void;
  dot(x: number, y: number, length: number): number;
  squares(lanes: number, table: number, count: number, length: number, tile: number): void;
  dotOthers(out: number, x: number, factor: number, pivot: number, below: number, above: number, length: number): void;
  scale(x: number, length: number, factor: number): void;
  exchange(rows: number, stride: number, length: number, comparators: number, count: number): void;
  meanAround(
    out: number,
    rows: number,
    stride: number,
    middle: number,
    other: number,
    first: number,
    steps: number,
    kept: number,
    length: number,
  ): number;
  subtractRow(out: number, stride: number, table: number, count: number, reference: number, length: number): void;
  products(out: number, rows: number, count: number, stride: number, length: number): void;
  squaredDistance(x: number, y: number, length: number): number;
}

type NetworkMaker = (count: number, low: number, high: number) => Comparators;

/** Not to be shared between threads. What it holds between two calls is scratch. */
export class Reducer {
  readonly run: Exports;
  /** The whole memory, seen as float32, float64 and addresses. Replaced where it grows. */
  f32: Float32Array<ArrayBuffer>;
  f64: Float64Array<ArrayBuffer>;
  u32: Uint32Array<ArrayBuffer>;
  readonly #kernel: Kernel;
  /** Scratch ends here. */
  #rowsStart = Number.POSITIVE_INFINITY;
  #used = 0;
  #networkKey = "";
  #network: Comparators = new Uint16Array(0);

  constructor() {
    const kernel = startKernel(reduce);
    this.run = kernel.exports as unknown as Exports;
    this.#kernel = kernel;
    this.f32 = new Float32Array(kernel.memory.buffer);
    this.f64 = new Float64Array(kernel.memory.buffer);
    this.u32 = new Uint32Array(kernel.memory.buffer);
  }

  /** Whether the kernel can read it where it lies. */
  holds(row: Float32Array): boolean {
    return row.buffer === this.f32.buffer;
  }

  /**
   * Gives scratch so many bytes for good and the bytes behind them to rows; returns where those start. Growth detaches
   * all that lies in the memory. Throws RangeError where there is not so much memory; then, and where no bytes are
   * given to rows, scratch is unbounded.
   */
  reserveRows(scratchBytes: number, rowsBytes: number): number {
    this.wipe(); // what was scratch may be rows now
    this.#rowsStart = Number.POSITIVE_INFINITY;
    const start = SCRATCH_START + Math.ceil(scratchBytes / PAGE_BYTES) * PAGE_BYTES;
    if (rowsBytes > 0) {
      this.#grow(start + rowsBytes);
      this.#rowsStart = start;
    }
    return start;
  }

  /** Lays out scratch areas of these byte lengths one after another; returns their offsets, multiples of 64. */
  reserve(...lengths: readonly number[]): number[] {
    const offsets: number[] = [];
    let end = SCRATCH_START;
    for (const length of lengths) {
      offsets.push(end);
      end += Math.ceil(length / 64) * 64;
    }
    if (end > this.#rowsStart) {
      const expected = `expected at most ${this.#rowsStart} bytes of scratch beside rows`;
      throw new RangeError(`Cannot reduce: ${expected}, got ${end}`);
    }
    this.#grow(end);
    this.#used = Math.max(this.#used, end);
    return offsets;
  }

  /** The network of these arguments. The last one is kept, because rounds repeat. */
  network(make: NetworkMaker, count: number, low: number, high: number): Comparators {
    const key = `${make.name} ${count} ${low} ${high}`;
    if (key !== this.#networkKey) {
      this.#network = make(count, low, high);
      this.#networkKey = key;
    }
    return this.#network;
  }

  /** Overwrites the scratch: updates of single devices pass through it. */
  wipe(): void {
    this.f64.fill(0, 0, this.#used / 8);
    this.#used = 0;
  }

  #grow(bytes: number): void {
    const missing = bytes - this.f32.byteLength;
    if (missing <= 0) return;
    this.#kernel.memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.f32 = new Float32Array(this.#kernel.memory.buffer);
    this.f64 = new Float64Array(this.#kernel.memory.buffer);
    this.u32 = new Uint32Array(this.#kernel.memory.buffer);
  }
}

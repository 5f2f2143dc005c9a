// The kernel of reductions and its memory. Rows live outside and are copied through in blocks, so the memory depends on
// the number of rows and the size of a block, never on the length of a row.

import type { Kernel } from "../core/kernel.ts";
import { startKernel } from "../core/kernel.ts";
import type { Comparators } from "./network.ts";
import reduce from "./wasm/reduce.ts";

const PAGE_BYTES = 65536;

interface Exports {
  weightedSum(out: number, rows: number, stride: number, weights: number, groups: number, length: number): void;
  narrow(out: number, x: number, length: number): void;
  dot(x: number, y: number, length: number): number;
  squares(x: number, length: number): number;
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
  ): void;
  subtractRow(rows: number, count: number, stride: number, reference: number, length: number): void;
  products(out: number, rows: number, count: number, stride: number, length: number): void;
  squaredDistance(x: number, y: number, length: number): number;
}

type NetworkMaker = (count: number, low: number, high: number) => Comparators;

/** Not to be shared between threads. What it holds between two calls is scratch. */
export class Reducer {
  readonly run: Exports;
  /** The whole memory, seen as float32 and float64. Replaced by reserve. */
  f32: Float32Array;
  f64: Float64Array;
  readonly #kernel: Kernel;
  #networkKey = "";
  #network: Comparators = new Uint16Array(0);

  constructor() {
    const kernel = startKernel(reduce);
    this.run = kernel.exports as unknown as Exports;
    this.#kernel = kernel;
    this.f32 = new Float32Array(kernel.memory.buffer);
    this.f64 = new Float64Array(kernel.memory.buffer);
  }

  /** Lays out scratch areas of these byte lengths one after another; returns their offsets, multiples of 64. */
  reserve(...lengths: readonly number[]): number[] {
    const offsets: number[] = [];
    let end = 1024;
    for (const length of lengths) {
      offsets.push(end);
      end += Math.ceil(length / 64) * 64;
    }
    this.#grow(end);
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
    this.f64.fill(0);
  }

  #grow(bytes: number): void {
    const missing = bytes - this.f32.byteLength;
    if (missing <= 0) return;
    this.#kernel.memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.f32 = new Float32Array(this.#kernel.memory.buffer);
    this.f64 = new Float64Array(this.#kernel.memory.buffer);
  }
}

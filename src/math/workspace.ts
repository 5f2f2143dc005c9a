// A training kernel of its own with the arrays that it works on, laid out in its memory. The fast build uses relaxed
// SIMD, which rounds differently on CPUs without FMA: nothing that is hashed or attested across machines may come from
// it.

import { isKernelSupported, startKernel } from "../core/kernel.ts";
import type { TrainingKernel } from "./training-kernel.ts";
import plainKernel from "./wasm/training.ts";
import relaxedKernel from "./wasm/training-relaxed.ts";

export type Build = "relaxed" | "plain";

const PAGE_BYTES = 65_536;
const PAGES_MAX = 65_536; // 4 GiB, the address space of wasm32
const ALIGNMENT_BYTES = 64;

/** Elements behind every array that a kernel may read, or fill up to whole vectors, without meeting another array. */
export const SLACK = 16;

export class Workspace<Name extends string = string> {
  readonly regions: Readonly<Record<Name, Float32Array<ArrayBuffer>>>;
  /** The build in use: results repeat bit for bit within one build on one machine. */
  readonly build: Build;
  /** Its addresses must come from reach. */
  readonly run: TrainingKernel;
  readonly #buffer: ArrayBuffer;

  /**
   * lengths: the regions to lay out, in elements, all zero at first. Memory grows here and never again, because growth
   * would detach every array handed out. build: for tests; by default the fastest that the engine runs.
   */
  constructor(lengths: Readonly<Record<Name, number>>, build: Build = fastestBuild()) {
    const { memory, exports } = startKernel(build === "relaxed" ? relaxedKernel : plainKernel);
    this.build = build;
    this.run = exports as unknown as TrainingKernel;
    const offsets = layOut(this.run.heapBase(), Object.values<number>(lengths));
    const pages = Math.ceil(offsets.at(-1)! / PAGE_BYTES);
    if (pages > PAGES_MAX) throw new RangeError(`Cannot lay out arrays: expected at most 4 GiB, got ${pages} pages`);
    const held = memory.buffer.byteLength / PAGE_BYTES;
    if (pages > held) memory.grow(pages - held);
    this.#buffer = memory.buffer;
    const names = Object.keys(lengths) as Name[];
    this.regions = Object.fromEntries(
      names.map((name, i) => [name, new Float32Array(this.#buffer, offsets[i], lengths[name])]),
    ) as Record<Name, Float32Array<ArrayBuffer>>;
  }

  /** The address of a region, or of a part of one, that the kernel may touch for length elements. */
  reach(array: Float32Array, length: number): number {
    if (array.buffer !== this.#buffer) throw new TypeError("Cannot compute: expected an array of this workspace");
    if (length > array.length) throw new RangeError(`Cannot compute: expected ${length} elements, got ${array.length}`);
    return array.byteOffset;
  }
}

/** Cuts a region into arrays of these lengths, each with its slack; the last one needs regionLength(lengths) in all. */
export function cut(region: Float32Array<ArrayBuffer>, lengths: readonly number[]): Float32Array<ArrayBuffer>[] {
  let offset = 0;
  return lengths.map((length) => {
    const start = offset;
    offset += withSlack(length);
    return region.subarray(start, start + length);
  });
}

export function regionLength(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + withSlack(length), 0);
}

/** Whole vectors and more: arrays stay aligned. */
function withSlack(length: number): number {
  return Math.ceil(length / SLACK) * SLACK + SLACK;
}

/** Offsets of arrays of so many elements, and behind them the end. */
function layOut(start: number, lengths: readonly number[]): number[] {
  const offsets = [start];
  for (const length of lengths) {
    const end = offsets.at(-1)! + withSlack(length) * Float32Array.BYTES_PER_ELEMENT;
    offsets.push(Math.ceil(end / ALIGNMENT_BYTES) * ALIGNMENT_BYTES);
  }
  return offsets;
}

function fastestBuild(): Build {
  return isKernelSupported(relaxedKernel) ? "relaxed" : "plain";
}

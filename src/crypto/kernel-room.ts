// A kernel with room in its linear memory for what goes in and what comes out.

import { type Kernel, startKernel } from "../core/kernel.ts";

const PAGE_BYTES = 65536;
const ALIGN_BYTES = 64;

export class KernelRoom {
  readonly exports: Kernel["exports"];
  readonly #memory: Kernel["memory"];
  readonly #start: number;

  constructor(wasm: string) {
    const { memory, exports } = startKernel(wasm);
    this.exports = exports;
    this.#memory = memory;
    const heapBase = (exports.heapBase as () => number)();
    this.#start = Math.ceil(heapBase / ALIGN_BYTES) * ALIGN_BYTES;
  }

  /** Address of length bytes, the same at every call: what was there before is given up. Views made before may die. */
  room(length: number): number {
    const pages = Math.ceil((this.#start + length - this.#memory.buffer.byteLength) / PAGE_BYTES);
    if (pages > 0) this.#memory.grow(pages);
    return this.#start;
  }

  view(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  /** The whole memory, for tests that search it. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer);
  }
}

// The FrodoKEM kernel as TypeScript sees it: typed functions on addresses, and the linear memory that they work on.

import { type Kernel, startKernel } from "../core/kernel.ts";
import wasm from "./wasm/frodo.ts";

/** kernels/crypto/frodo.ts tells what each one does. */
export interface FrodoArithmetic {
  sample(r: number, count: number, cdf: number, cdfLength: number): void;
  mulAddAS(out: number, a: number, s: number, n: number, rows: number): void;
  mulAddSA(out: number, a: number, s: number, spread: number, n: number, rows: number): void;
  mulAddSB(v: number, s: number, b: number, n: number): void;
  subBS(m: number, c: number, b: number, s: number, n: number): void;
  pack(out: number, c: number, count: number, D: number): void;
  unpack(c: number, packed: number, count: number, D: number): void;
  addEncoded(c: number, mu: number, B: number, D: number): void;
  decode(mu: number, m: number, B: number, D: number): void;
  selectIfEqual(
    out: number,
    k: number,
    s: number,
    length: number,
    x: number,
    y: number,
    count: number,
    D: number,
  ): void;
}

const PAGE_BYTES = 65536;
const ALIGN_BYTES = 64;

/** Hands out addresses and never takes one back. */
export class FrodoMemory {
  readonly arithmetic: FrodoArithmetic;
  readonly #memory: Kernel["memory"];
  #end: number;

  constructor() {
    const { memory, exports } = startKernel(wasm);
    this.arithmetic = exports as unknown as FrodoArithmetic;
    this.#memory = memory;
    this.#end = (exports.heapBase as () => number)();
  }

  /** Reserves length bytes, zeros. Views made before are dead afterwards. */
  reserve(length: number): number {
    const address = Math.ceil(this.#end / ALIGN_BYTES) * ALIGN_BYTES;
    const pages = Math.ceil((address + length - this.#memory.buffer.byteLength) / PAGE_BYTES);
    if (pages > 0) this.#memory.grow(pages);
    this.#end = address + length;
    return address;
  }

  view(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  words(address: number, count: number): Uint16Array<ArrayBuffer> {
    return new Uint16Array(this.#memory.buffer, address, count);
  }

  load(address: number, bytes: Uint8Array): void {
    this.view(address, bytes.length).set(bytes);
  }

  /** The whole memory, for tests that search it. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer);
  }
}

// Matrix kernels for training: sgemm and the small loops around it, over Float32Arrays that lie in the kernel's memory.
// The fast build uses relaxed SIMD, which rounds differently on CPUs without FMA: nothing that is hashed or attested
// across machines may come from it.

import { isKernelSupported, startKernel } from "../core/kernel.ts";
import plainKernel from "./wasm/gemm.ts";
import relaxedKernel from "./wasm/gemm-relaxed.ts";

/** A view of a matrix: element (i, j) is data[i * rowStride + j * columnStride]. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rowStride: number;
  readonly columnStride: number;
}

interface Exports {
  heapBase(): number;
  sgemm(
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aColumn: number,
    b: number,
    bRow: number,
    bColumn: number,
    c: number,
    accumulate: number,
  ): void;
  axpy(n: number, alpha: number, x: number, y: number): void;
  addBias(rows: number, columns: number, bias: number, x: number): void;
  addRows(rows: number, columns: number, x: number, sums: number): void;
  relu(n: number, x: number): void;
  reluBackward(n: number, output: number, gradient: number): void;
  sgdStep(
    n: number,
    rate: number,
    momentum: number,
    mu: number,
    gradient: number,
    anchor: number,
    velocity: number,
    w: number,
  ): void;
}

const PAGE_BYTES = 65_536;
const PAGES_MAX = 65_536; // 4 GiB, the address space of wasm32
const ALIGNMENT_BYTES = 64;

/** Rows contiguous. */
export function rowMajor(data: Float32Array, columns: number): Matrix {
  return { data, rowStride: columns, columnStride: 1 };
}

export function transposed(matrix: Matrix): Matrix {
  return { data: matrix.data, rowStride: matrix.columnStride, columnStride: matrix.rowStride };
}

/** Every array given to a method is a region of the same instance, or a subarray of one. */
export class Gemm<Name extends string = string> {
  readonly regions: Readonly<Record<Name, Float32Array<ArrayBuffer>>>;
  /** The build in use: results repeat bit for bit within one build on one machine. */
  readonly build: "relaxed" | "plain";
  readonly #buffer: ArrayBuffer;
  readonly #exports: Exports;

  /**
   * lengths: the regions to lay out, in elements, all zero at first. Memory grows here and never again, because growth
   * would detach every array handed out. build: for tests; by default the fastest that the engine runs.
   */
  constructor(lengths: Readonly<Record<Name, number>>, build: "relaxed" | "plain" = fastestBuild()) {
    const { memory, exports } = startKernel(build === "relaxed" ? relaxedKernel : plainKernel);
    this.build = build;
    this.#exports = exports as unknown as Exports;
    const offsets = layOut(this.#exports.heapBase(), Object.values<number>(lengths));
    const pages = Math.ceil(offsets.at(-1)! / PAGE_BYTES);
    if (pages > PAGES_MAX) throw new RangeError(`Cannot lay out matrices: expected at most 4 GiB, got ${pages} pages`);
    const held = memory.buffer.byteLength / PAGE_BYTES;
    if (pages > held) memory.grow(pages - held);
    this.#buffer = memory.buffer;
    const names = Object.keys(lengths) as Name[];
    this.regions = Object.fromEntries(
      names.map((name, i) => [name, new Float32Array(this.#buffer, offsets[i], lengths[name])]),
    ) as Record<Name, Float32Array<ArrayBuffer>>;
  }

  /** c (m x n, rows contiguous) = a (m x k) * b (k x n), or c += a * b. */
  multiply(m: number, n: number, k: number, a: Matrix, b: Matrix, c: Float32Array, accumulate: boolean): void {
    this.#reach(a.data, (m - 1) * a.rowStride + (k - 1) * a.columnStride + 1);
    this.#reach(b.data, (k - 1) * b.rowStride + (n - 1) * b.columnStride + 1);
    this.#exports.sgemm(
      m,
      n,
      k,
      a.data.byteOffset,
      a.rowStride,
      a.columnStride,
      b.data.byteOffset,
      b.rowStride,
      b.columnStride,
      this.#reach(c, m * n),
      Number(accumulate),
    );
  }

  /** y += alpha * x */
  axpy(alpha: number, x: Float32Array, y: Float32Array): void {
    this.#exports.axpy(y.length, alpha, this.#reach(x, y.length), this.#reach(y, y.length));
  }

  /** Adds bias to each of the first rows of x (rows x bias.length). */
  addBias(rows: number, bias: Float32Array, x: Float32Array): void {
    const columns = bias.length;
    this.#exports.addBias(rows, columns, this.#reach(bias, columns), this.#reach(x, rows * columns));
  }

  /** sums += the first rows of x (rows x sums.length), added up. */
  addRows(rows: number, x: Float32Array, sums: Float32Array): void {
    const columns = sums.length;
    this.#exports.addRows(rows, columns, this.#reach(x, rows * columns), this.#reach(sums, columns));
  }

  /** x[0..n) = max(x, 0) */
  relu(n: number, x: Float32Array): void {
    this.#exports.relu(n, this.#reach(x, n));
  }

  /** gradient[0..n) = 0 wherever the output of relu was 0 */
  reluBackward(n: number, output: Float32Array, gradient: Float32Array): void {
    this.#exports.reluBackward(n, this.#reach(output, n), this.#reach(gradient, n));
  }

  /** velocity = momentum * velocity + gradient + mu * (w - anchor);  w -= rate * velocity */
  sgdStep(
    w: Float32Array,
    gradient: Float32Array,
    velocity: Float32Array,
    anchor: Float32Array,
    step: { readonly rate: number; readonly momentum: number; readonly mu: number },
  ): void {
    const n = w.length;
    this.#exports.sgdStep(
      n,
      step.rate,
      step.momentum,
      step.mu,
      this.#reach(gradient, n),
      this.#reach(anchor, n),
      this.#reach(velocity, n),
      this.#reach(w, n),
    );
  }

  /** The address of an array that the kernel may touch for length elements. */
  #reach(array: Float32Array, length: number): number {
    if (array.buffer !== this.#buffer) throw new TypeError("Cannot compute: expected an array of this instance");
    if (length > array.length) throw new RangeError(`Cannot compute: expected ${length} elements, got ${array.length}`);
    return array.byteOffset;
  }
}

/** Offsets of arrays of so many elements, and behind them the end. */
function layOut(start: number, lengths: readonly number[]): number[] {
  const offsets = [start];
  for (const length of lengths) {
    offsets.push(Math.ceil((offsets.at(-1)! + length * 4) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES);
  }
  return offsets;
}

function fastestBuild(): "relaxed" | "plain" {
  return isKernelSupported(relaxedKernel) ? "relaxed" : "plain";
}

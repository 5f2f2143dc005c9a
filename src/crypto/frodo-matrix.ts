// The public matrix A of a FrodoKEM key, made from seedA stripe by stripe (Frodo.Gen).

import type { FrodoMemory } from "./frodo-kernel.ts";
import { type FrodoParameters, SEED_A_BYTES } from "./frodo-parameters.ts";
import { aes128Ecb, shake } from "./native.ts";

/** Writes `rows` rows of A, from row rowFirst on, to an address of linear memory. rows is at most stripeRowsMax. */
export type StripeWriter = (address: number, rowFirst: number, rows: number) => void;

/** Sees `rows` rows of A, an even number, at an address of linear memory. */
export type StripeVisitor = (address: number, rowFirst: number, rows: number) => void;

/** A stripe stays in the second-level cache between making and product. */
const STRIPE_BYTES_MAX = 100_000;

export class FrodoMatrix {
  readonly matrixBytes: number;
  readonly stripeRowsMax: number;
  readonly #memory: FrodoMemory;
  readonly #parameters: FrodoParameters;
  readonly #rowBytes: number;
  readonly #stripe: number;
  /** Input of AES for all of A: to count the row up from stripe to stripe would cost a sixth of the encryption. */
  #blocks: Uint8Array | undefined;

  constructor(memory: FrodoMemory, parameters: FrodoParameters) {
    this.#memory = memory;
    this.#parameters = parameters;
    this.#rowBytes = 2 * parameters.n;
    this.matrixBytes = parameters.n * this.#rowBytes;
    this.stripeRowsMax = 4 * Math.floor(STRIPE_BYTES_MAX / (4 * this.#rowBytes));
    this.#stripe = memory.reserve(this.stripeRowsMax * this.#rowBytes);
  }

  /** Visits stripes that are made in one place, one after the other. */
  visitOnce(seedA: Uint8Array, visit: StripeVisitor): void {
    const write = this.#writer(seedA);
    this.#forEachStripe((rowFirst, rows) => {
      write(this.#stripe, rowFirst, rows);
      visit(this.#stripe, rowFirst, rows);
    });
  }

  /** Writes all of A, matrixBytes, to address. */
  make(seedA: Uint8Array, address: number): void {
    const write = this.#writer(seedA);
    this.#forEachStripe((rowFirst, rows) => write(address + rowFirst * this.#rowBytes, rowFirst, rows));
  }

  /** Visits the stripes of an A that make() wrote to address. */
  visitMade(address: number, visit: StripeVisitor): void {
    this.#forEachStripe((rowFirst, rows) => visit(address + rowFirst * this.#rowBytes, rowFirst, rows));
  }

  #forEachStripe(each: (rowFirst: number, rows: number) => void): void {
    const { n } = this.#parameters;
    for (let row = 0; row < n; row += this.stripeRowsMax) each(row, Math.min(this.stripeRowsMax, n - row));
  }

  #writer(seedA: Uint8Array): StripeWriter {
    return this.#parameters.generator === "AES" ? this.#aesWriter(seedA) : this.#shakeWriter(seedA);
  }

  /** Eight coefficients are AES-128(seedA, row | column | 0 ...), row and column as 16-bit little-endian words. */
  #aesWriter(seedA: Uint8Array): StripeWriter {
    const encrypt = aes128Ecb(seedA);
    this.#blocks ??= indexBlocks(this.#parameters.n);
    const blocks = this.#blocks;
    return (address, rowFirst, rows) => {
      const length = rows * this.#rowBytes;
      const start = rowFirst * this.#rowBytes;
      encrypt(blocks.subarray(start, start + length), this.#memory.view(address, length));
    };
  }

  /** A row is SHAKE128(row | seedA), row as a 16-bit little-endian word. */
  #shakeWriter(seedA: Uint8Array): StripeWriter {
    const input = new Uint8Array(2 + SEED_A_BYTES);
    input.set(seedA, 2);
    return (address, rowFirst, rows) => {
      for (let i = 0; i < rows; i++) {
        input[0] = rowFirst + i;
        input[1] = (rowFirst + i) >> 8;
        this.#memory.load(address + i * this.#rowBytes, shake(128, input, this.#rowBytes));
      }
    };
  }
}

function indexBlocks(n: number): Uint8Array {
  const words = new Uint16Array(n * n);
  for (let at = 0; at < words.length; at += 8) {
    words[at] = Math.floor(at / n);
    words[at + 1] = at % n;
  }
  return new Uint8Array(words.buffer);
}

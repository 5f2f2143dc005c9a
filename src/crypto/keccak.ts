// SHAKE (FIPS 202) and rows of A by the Keccak kernel.

import { SEED_A_BYTES } from "./frodo-parameters.ts";
import type { RowSource, ShakeBits } from "./frodo-primitives.ts";
import { KernelRoom } from "./kernel-room.ts";
import wasm from "./wasm/keccak.ts";

/** kernels/crypto/keccak.ts tells what each one does. */
interface KeccakKernel {
  shake(out: number, outLength: number, input: number, inputLength: number, rate: number): void;
  shakeRows(out: number, seedA: number, rowFirst: number, rows: number, rowBytes: number): void;
}

export class Keccak {
  /** Open to tests. */
  readonly room: KernelRoom = new KernelRoom(wasm);
  readonly #kernel: KeccakKernel;

  constructor() {
    this.#kernel = this.room.exports as unknown as KeccakKernel;
  }

  /** length bytes, the caller's to wipe. Input and output are wiped from linear memory. */
  shake(bits: ShakeBits, input: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
    const start = this.room.room(input.length + length);
    this.room.view(start, input.length).set(input);
    const rate = (1600 - 2 * bits) / 8; // 168 or 136
    this.#kernel.shake(start + input.length, length, start, input.length, rate);
    const used = this.room.view(start, input.length + length);
    const out = used.slice(input.length);
    used.fill(0);
    return out;
  }

  /** A row is SHAKE128(row | seedA), row as a 16-bit little-endian word. */
  rows(n: number): RowSource {
    return (seedA) => {
      const seed = seedA.slice(0, SEED_A_BYTES);
      return (out, rowFirst) => {
        const start = this.room.room(SEED_A_BYTES + out.length);
        this.room.view(start, SEED_A_BYTES).set(seed);
        this.#kernel.shakeRows(start + SEED_A_BYTES, start, rowFirst, out.length / (2 * n), 2 * n);
        out.set(this.room.view(start + SEED_A_BYTES, out.length));
      };
    };
  }
}

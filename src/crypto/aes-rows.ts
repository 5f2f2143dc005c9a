// Rows of A by the bitsliced AES kernel.

import { SEED_A_BYTES } from "./frodo-parameters.ts";
import type { RowSource } from "./frodo-primitives.ts";
import { KernelRoom } from "./kernel-room.ts";
import wasm from "./wasm/aes.ts";

/** kernels/crypto/aes.ts tells what each one does. */
interface AesKernel {
  start(seedA: number, n: number): void;
  generate(out: number, n: number, rowFirst: number, rows: number): void;
}

/** Past the last row, where n is no multiple of 64. */
const SPILL_BYTES = 128 - 16;

/** Eight coefficients are AES-128(seedA, row | column | 0 ...), row and column as 16-bit little-endian words. */
export function aesRows(n: number): RowSource {
  const room = new KernelRoom(wasm);
  const kernel = room.exports as unknown as AesKernel;
  return (seedA) => {
    const seed = room.room(SEED_A_BYTES);
    room.view(seed, SEED_A_BYTES).set(seedA);
    kernel.start(seed, n);
    return (out, rowFirst) => {
      const start = room.room(out.length + SPILL_BYTES);
      kernel.generate(start, n, rowFirst, out.length / (2 * n));
      out.set(room.view(start, out.length));
    };
  };
}

// FrodoKEM's primitives by WebAssembly kernels and WebCrypto alone: for browsers, and wherever node:crypto is missing.

import { aesRows } from "./aes-rows.ts";
import type { FrodoPrimitives, RowGenerator, RowSource, ShakeBits } from "./frodo-primitives.ts";
import { Keccak } from "./keccak.ts";

export class KernelPrimitives implements FrodoPrimitives {
  /** Open to tests. */
  readonly keccak: Keccak = new Keccak();

  shake(bits: ShakeBits, input: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
    return this.keccak.shake(bits, input, length);
  }

  randomBytes(length: number): Uint8Array<ArrayBuffer> {
    return globalThis.crypto.getRandomValues(new Uint8Array(length));
  }

  rows(generator: RowGenerator, n: number): RowSource {
    return generator === "AES" ? aesRows(n) : this.keccak.rows(n);
  }
}

// Reading binary structures of a fixed layout: little-endian integers, fields in order, never past the end.

import { QflareError } from "../core/error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export class LayoutReader {
  readonly #bytes: Bytes;
  readonly #what: string;
  #at = 0;

  /** what: name of the structure, for messages. Throws evidence.malformed whenever less is there than is read. */
  constructor(bytes: Bytes, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get offset(): number {
    return this.#at;
  }

  take(length: number): Bytes {
    const left = this.#bytes.length - this.#at;
    if (length > left) {
      const fact = `expected ${length} bytes at ${this.#at}, got ${left}`;
      throw new QflareError("evidence.malformed", `${this.#what}: ${fact}`);
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u16(): number {
    return littleEndian(this.take(2));
  }

  u32(): number {
    return littleEndian(this.take(4));
  }

  rest(): Bytes {
    return this.take(this.#bytes.length - this.#at);
  }
}

/** At most 6 bytes. */
export function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

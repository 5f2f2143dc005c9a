// Distinguished encoding rules (ITU-T X.690): one form for each value, so that no bit of a certificate can change
// unseen. Only what certificates, revocation lists and signatures use.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Universal tags, and context(n) for the constructed tag [n]. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

export const context = (n: number): number => 0xa0 | n;

export interface Element {
  readonly tag: number;
  readonly body: Bytes;
  /** Tag, length and body. */
  readonly raw: Bytes;
}

function refuse(what: string, fact: string): never {
  throw new QflareError("evidence.malformed", `${what}: ${fact}`);
}

/** Length of the body and where it starts. */
function readLength(bytes: Bytes, at: number, what: string): { length: number; start: number } {
  const first = bytes[at] ?? refuse(what, "the length is missing");
  if (first < 0x80) return { length: first, start: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 3) refuse(what, "expected a length of at most 3 bytes");
  let length = 0;
  for (let i = 1; i <= count; i++) length = length * 256 + (bytes[at + i] ?? refuse(what, "the length is cut off"));
  if (length < 0x80 || length < 256 ** (count - 1)) refuse(what, "expected the shortest form of the length");
  return { length, start: at + 1 + count };
}

/** The elements of a body, in order. what: name of the structure, for messages. */
export class DerReader {
  readonly #bytes: Bytes;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Bytes, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Tag of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** Throws evidence.malformed where the next element has another tag. */
  read(tag: number): Element {
    if (this.tag !== tag) {
      const found = this.tag === undefined ? "the end" : `tag ${this.tag}`;
      refuse(this.#what, `expected tag ${tag}, got ${found}`);
    }
    const { length, start } = readLength(this.#bytes, this.#at + 1, this.#what);
    if (length > this.#bytes.length - start) refuse(this.#what, "it is cut off");
    const raw = this.#bytes.subarray(this.#at, start + length);
    this.#at = start + length;
    return { tag, body: this.#bytes.subarray(start, this.#at), raw };
  }

  /** The next element, where it has this tag. */
  readOptional(tag: number): Element | undefined {
    return this.tag === tag ? this.read(tag) : undefined;
  }

  readAny(): Element {
    return this.read(this.tag ?? refuse(this.#what, "expected an element, got the end"));
  }

  /** Into the next element. */
  enter(tag: number = TAG.sequence): DerReader {
    return new DerReader(this.read(tag).body, this.#what);
  }

  integer(): Bytes {
    return integerBody(this.read(TAG.integer).body, this.#what);
  }

  objectIdentifier(): string {
    return dotted(this.read(TAG.objectIdentifier).body, this.#what);
  }

  /** Whole bytes: no unused bits. */
  bitString(): Bytes {
    const { body } = this.read(TAG.bitString);
    if (body[0] !== 0) refuse(this.#what, "expected a bit string of whole bytes");
    return body.subarray(1);
  }

  end(): void {
    if (!this.isAtEnd) refuse(this.#what, `${this.#bytes.length - this.#at} trailing bytes`);
  }
}

/** The single element that the bytes hold. */
export function enterDer(bytes: Bytes, what: string, tag: number = TAG.sequence): DerReader {
  const reader = new DerReader(bytes, what);
  const inner = reader.enter(tag);
  reader.end();
  return inner;
}

/** Two's complement in the fewest bytes (X.690 section 8.3). */
function integerBody(body: Bytes, what: string): Bytes {
  const [first, second = 0] = body;
  const isPadded = body.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (first === undefined || isPadded) refuse(what, "expected the shortest form of an integer");
  return body;
}

/** 0 to 2^48 - 1. */
export function smallInteger(body: Bytes, what: string): number {
  const value = body[0]! < 0x80 && body.length <= 6 ? Number.parseInt(toHex(body), 16) : Number.NaN;
  return Number.isNaN(value) ? refuse(what, "expected a small whole number") : value;
}

/** An integer of 0 or more in exactly length bytes, as signatures use it. */
export function fixedInteger(body: Bytes, length: number, what: string): Bytes {
  const digits = body[0] === 0 ? body.subarray(1) : body;
  if (body[0]! >= 0x80 || digits.length > length) refuse(what, `expected a positive integer of ${length} bytes`);
  const out = new Uint8Array(length);
  out.set(digits, length - digits.length);
  return out;
}

/** X.690 section 8.19. */
function dotted(body: Bytes, what: string): string {
  const arcs: number[] = [];
  let value = 0;
  let isStart = true;
  for (const byte of body) {
    if (isStart && byte === 0x80) refuse(what, "expected the shortest form of an object identifier");
    value = value * 128 + (byte & 0x7f);
    if (value > 2 ** 32) refuse(what, "an object identifier is too large");
    isStart = byte < 0x80;
    if (!isStart) continue;
    arcs.push(value);
    value = 0;
  }
  const [first] = arcs;
  if (first === undefined || !isStart) refuse(what, "an object identifier is cut off");
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - 40 * root, ...arcs.slice(1)].join(".");
}

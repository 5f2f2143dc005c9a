// Writes DER, for certificates and lists that no vendor would sign.

import { concat, utf8 } from "../../../src/core/bytes.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export function element(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const body = concat(...parts);
  const length = body.length;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concat(Uint8Array.of(tag, ...head), body);
}

export const sequence = (...parts: readonly Uint8Array[]): Bytes => element(0x30, ...parts);
export const context = (n: number, ...parts: readonly Uint8Array[]): Bytes => element(0xa0 | n, ...parts);
export const octets = (bytes: Uint8Array): Bytes => element(0x04, bytes);
export const bits = (bytes: Uint8Array): Bytes => element(0x03, Uint8Array.of(0), bytes);
export const TRUE: Bytes = Uint8Array.of(0x01, 0x01, 0xff);

/** 0 or more, below 2^32. */
export function integer(value: number): Bytes {
  const digits: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  if (digits.length === 0 || digits[0] >= 0x80) digits.unshift(0);
  return element(0x02, Uint8Array.from(digits));
}

export function objectIdentifier(dotted: string): Bytes {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const body = [40 * first + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return element(0x06, Uint8Array.from(body));
}

/** UTCTime. */
export function time(ms: number): Bytes {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return element(0x17, utf8(`${digits}Z`));
}

/** A name of its common name alone. */
export function name(commonName: string): Bytes {
  return sequence(element(0x31, sequence(objectIdentifier("2.5.4.3"), element(0x0c, utf8(commonName)))));
}

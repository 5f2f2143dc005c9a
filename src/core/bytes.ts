// Byte strings: joining, comparing, text forms, fixed-width integers, wiping.

export type Bytes = Uint8Array;

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true });

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Throws TypeError where the bytes are not UTF-8. */
export function fromUtf8(bytes: Bytes): string {
  return decoder.decode(bytes);
}

/**
 * Zeros outside of the collected heap. Up to 64 bytes an array would lie inside of it, where the collector moves it and
 * leaves copies behind that nothing wipes: secrets go here.
 */
export function ownBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The secret in memory of our own; where it was is wiped. */
export function takeOver(secret: Bytes): Uint8Array<ArrayBuffer> {
  const out = ownBytes(secret.length);
  out.set(secret);
  wipe(secret);
  return out;
}

/** In memory outside of the collected heap. */
export function concat(...parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = ownBytes(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Time depends on lengths and addresses alone, so that a MAC can be compared. */
export function equal(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  const isAligned = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0;
  const words = isAligned ? a.length >>> 2 : 0;
  let difference = words === 0 ? 0 : wordDifference(a, b, words);
  for (let i = 4 * words; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

function wordDifference(a: Bytes, b: Bytes, words: number): number {
  const x = new Uint32Array(a.buffer, a.byteOffset, words);
  const y = new Uint32Array(b.buffer, b.byteOffset, words);
  let difference = 0;
  for (let i = 0; i < words; i++) difference |= x[i]! ^ y[i]!;
  return difference;
}

export function wipe(...secrets: readonly Bytes[]): void {
  for (const secret of secrets) secret.fill(0);
}

export function u32be(value: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(4);
  writeU32be(out, value, 0);
  return out;
}

export function writeU32be(out: Bytes, value: number, offset: number): void {
  for (let i = 0; i < 4; i++) out[offset + i] = value >>> (24 - 8 * i);
}

/** value: a whole number from 0 to 2^53 - 1. */
export function u64be(value: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}

export function readU32be(bytes: Bytes, offset = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset);
}

/** Throws RangeError for a value over 2^53 - 1. */
export function readU64be(bytes: Bytes, offset = 0): number {
  const value = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`expected at most 2^53 - 1, got ${value}`);
  return Number(value);
}

/** LP(x) of the protocol: u32 length, then x. Makes a concatenation of fields injective. */
export function lengthPrefixed(...parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += 4 + part.length;
  const out = ownBytes(length);
  let offset = 0;
  for (const part of parts) {
    writeU32be(out, part.length, offset);
    out.set(part, offset + 4);
    offset += 4 + part.length;
  }
  return out;
}

export function toHex(bytes: Bytes): string {
  let out = "";
  for (const byte of bytes) out += byte.toString(16).padStart(2, "0");
  return out;
}

/** undefined where the text is not lower-case hexadecimal of whole bytes. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** RFC 4648 section 4. */
export function toBase64(bytes: Bytes): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** undefined where the text is not the one canonical form, with padding, of some bytes. */
export function parseBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const out = fromBase64(text);
  return toBase64(out) === text ? out : undefined;
}

/** RFC 4648 section 5, without padding. */
export function toBase64Url(bytes: Bytes): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** undefined where the text is not the one canonical form of some bytes. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const out = fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  return toBase64Url(out) === text ? out : undefined;
}

/** Trusted input: the kernels that the build wrote. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

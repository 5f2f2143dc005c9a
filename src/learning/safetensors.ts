// safetensors, the model file of the field (github.com/huggingface/safetensors, "Format"): u64 header length, a JSON
// header padded with spaces, then the tensors' bytes; little-endian. F32 only. Strict: tensors cover the rest of the
// file without gap or overlap, and no key stands twice, so that two readers cannot see two models in one file.

import { concat, fromUtf8, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { hasDuplicateKeys } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { list, object, oneOf, uint } from "../core/shape.ts";

export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface TensorFile {
  /** In the order of their bytes. */
  readonly tensors: readonly Tensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

const LENGTH_BYTES = 8;
const ALIGNMENT_BYTES = 8;
const FLOAT_BYTES = 4;
const METADATA = "__metadata__";
const DIMENSIONS_MAX = 8;
const NAME_LENGTH_MAX = 256;
const offset = uint(0, LIMITS.modelBytesMax);
const entryShape = object({
  dtype: oneOf("F32"),
  shape: list(uint(0, LIMITS.parametersMax), 0, DIMENSIONS_MAX),
  data_offsets: list(offset, 2, 2),
});

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

function refuse(expectation: string, cause?: unknown): never {
  throw new QflareError("model.malformed", expectation, cause === undefined ? {} : { cause });
}

/** Header keys stand in the order given, so that the same input gives the same bytes. */
export function encodeTensors({ tensors, metadata }: TensorFile): Uint8Array<ArrayBuffer> {
  const header: [string, unknown][] = Object.keys(metadata).length === 0 ? [] : [[METADATA, metadata]];
  let start = 0;
  for (const { name, shape, data } of tensors) {
    if (product(shape) !== data.length) throw new RangeError(`Cannot encode ${name}: shape and length differ`);
    header.push([name, { dtype: "F32", shape, data_offsets: [start, start + data.byteLength] }]);
    start += data.byteLength;
  }
  const json = utf8(JSON.stringify(Object.fromEntries(header)));
  const padded = new Uint8Array(Math.ceil(json.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES).fill(0x20);
  padded.set(json);
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  return concat(length, padded, ...tensors.map(({ data }) => littleEndian(data)));
}

/** bytes: a whole file. The tensors are copies. */
export function decodeTensors(bytes: Uint8Array): TensorFile {
  if (bytes.length > LIMITS.modelBytesMax) {
    refuse(`expected at most ${LIMITS.modelBytesMax} bytes, got ${bytes.length}`);
  }
  const headerLength = readHeaderLength(bytes);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headerLength));
  const metadata = readMetadata(header);
  const entries = readEntries(header);
  const data = bytes.subarray(LENGTH_BYTES + headerLength);
  checkCover(entries, data.length);
  const tensors = entries.map(({ name, shape, start, end }) => ({ name, shape, data: toFloats(data, start, end) }));
  return { tensors, metadata };
}

function readHeaderLength(bytes: Uint8Array): number {
  if (bytes.length < LENGTH_BYTES) refuse(`expected a header length of ${LENGTH_BYTES} bytes, got ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > LIMITS.modelHeaderBytesMax) {
    refuse(`expected a header of at most ${LIMITS.modelHeaderBytesMax} bytes, got ${length}`);
  }
  const headerLength = Number(length);
  if (headerLength % ALIGNMENT_BYTES !== 0) refuse(`expected a header of whole 8 bytes, got ${headerLength}`);
  if (bytes.length - LENGTH_BYTES < headerLength) {
    refuse(`expected ${headerLength} header bytes, got ${bytes.length - LENGTH_BYTES}`);
  }
  return headerLength;
}

function parseHeader(bytes: Uint8Array): [string, unknown][] {
  let text = "";
  let header: unknown;
  try {
    text = fromUtf8(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    refuse("expected a header of JSON in UTF-8", cause);
  }
  if (!text.startsWith("{")) refuse("expected a header that begins with {");
  if (hasDuplicateKeys(text)) refuse("expected every key of the header once");
  return Object.entries(header as Record<string, unknown>);
}

function readMetadata(header: readonly [string, unknown][]): Record<string, string> {
  const metadata = header.find(([name]) => name === METADATA)?.[1];
  if (metadata === undefined) return {};
  const isObject = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
  if (!isObject || !Object.values(metadata).every((value) => typeof value === "string")) {
    refuse(`expected ${METADATA} to be a map of text to text`);
  }
  return metadata as Record<string, string>;
}

function readEntries(header: readonly [string, unknown][]): Entry[] {
  const entries: Entry[] = [];
  for (const [name, value] of header) {
    if (name === METADATA) continue;
    if (name.length > NAME_LENGTH_MAX) {
      refuse(`expected a tensor name of at most ${NAME_LENGTH_MAX} characters, got ${name.length}`);
    }
    const { shape, data_offsets } = readEntry(name, value);
    entries.push({ name, shape, start: data_offsets[0], end: data_offsets[1] });
  }
  return entries.sort((a, b) => a.start - b.start || a.end - b.end);
}

function readEntry(name: string, value: unknown): { shape: number[]; data_offsets: number[] } {
  try {
    return entryShape.read(value, name);
  } catch (cause) {
    return refuse(cause instanceof QflareError ? cause.message : `expected an entry for ${name}`, cause);
  }
}

function checkCover(entries: readonly Entry[], length: number): void {
  let expected = 0;
  for (const { name, shape, start, end } of entries) {
    if (start !== expected) refuse(`expected ${name} to begin at ${expected}, got ${start}`);
    if (end - start !== product(shape) * FLOAT_BYTES) {
      refuse(`expected ${product(shape) * FLOAT_BYTES} bytes of ${name}, got ${end - start}`);
    }
    expected = end;
  }
  if (expected !== length) refuse(`expected ${expected} bytes of tensors, got ${length}`);
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

function littleEndian(data: Float32Array): Uint8Array {
  const out = new DataView(new ArrayBuffer(data.byteLength));
  for (let i = 0; i < data.length; i++) out.setFloat32(i * FLOAT_BYTES, data[i], true);
  return new Uint8Array(out.buffer);
}

function toFloats(bytes: Uint8Array, start: number, end: number): Float32Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  const out = new Float32Array((end - start) / FLOAT_BYTES);
  for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(i * FLOAT_BYTES, true);
  return out;
}

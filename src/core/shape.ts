// Shapes: what a value from outside must look like. One shape checks a message, encodes and decodes it, gives its
// TypeScript type, its JSON schema for the OpenAPI page and its table in docs/wire.md.

import { concat, wipe } from "./bytes.ts";
import { decodeCbor, encodeCbor } from "./codec.ts";
import { QflareError } from "./error.ts";

export interface JsonSchema {
  readonly [key: string]: unknown;
}

export interface Shape<T> {
  /** Returns the value, typed and copied; throws message.malformed where it does not fit. */
  read(value: unknown, path: string): T;
  readonly schema: JsonSchema;
  /** In words, for the documentation: "16 bytes". */
  readonly words: string;
  /** Of a list or a nullable: the shape of what is in it. */
  readonly inner?: Shape<unknown>;
}

export type Of<S> = S extends Shape<infer T> ? T : never;

function refuse(path: string, expected: string): never {
  throw new QflareError("message.malformed", `${path}: expected ${expected}`);
}

export function uint(min = 0, max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  const words = max === Number.MAX_SAFE_INTEGER ? `whole number from ${min}` : `whole number from ${min} to ${max}`;
  return {
    read: (value, path) =>
      typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max
        ? value
        : refuse(path, words),
    schema: { type: "integer", minimum: min, maximum: max },
    words,
  };
}

export function float(min: number = -Number.MAX_VALUE, max: number = Number.MAX_VALUE): Shape<number> {
  const bounded = min !== -Number.MAX_VALUE || max !== Number.MAX_VALUE;
  const words = bounded ? `number from ${min} to ${max}` : "finite number";
  return {
    read: (value, path) =>
      typeof value === "number" && Number.isFinite(value) && value >= min && value <= max ? value : refuse(path, words),
    schema: bounded ? { type: "number", minimum: min, maximum: max } : { type: "number" },
    words,
  };
}

export function boolean(): Shape<boolean> {
  const words = "true or false";
  return {
    read: (value, path) => (typeof value === "boolean" ? value : refuse(path, words)),
    schema: { type: "boolean" },
    words,
  };
}

/** pattern: anchored by the caller. */
export function text(lengthMax: number, pattern?: RegExp): Shape<string> {
  const words = `text of at most ${lengthMax} characters${pattern === undefined ? "" : ` matching ${pattern.source}`}`;
  return {
    read: (value, path) =>
      typeof value === "string" && value.length <= lengthMax && (pattern === undefined || pattern.test(value))
        ? value
        : refuse(path, words),
    schema: { type: "string", maxLength: lengthMax, ...(pattern === undefined ? {} : { pattern: pattern.source }) },
    words,
  };
}

export function oneOf<const T extends string>(...names: readonly T[]): Shape<T> {
  const words = names.map((name) => `"${name}"`).join(" or ");
  return {
    read: (value, path) => ((names as readonly unknown[]).includes(value) ? (value as T) : refuse(path, words)),
    schema: { type: "string", enum: names },
    words,
  };
}

export function bytes(length: number, lengthMax: number = length): Shape<Uint8Array<ArrayBuffer>> {
  const words = length === lengthMax ? `${length} bytes` : `${length} to ${lengthMax} bytes`;
  return {
    read: (value, path) =>
      value instanceof Uint8Array && value.length >= length && value.length <= lengthMax
        ? new Uint8Array(value)
        : refuse(path, words),
    schema: { type: "string", format: "binary", minLength: length, maxLength: lengthMax },
    words,
  };
}

/** Like bytes, for keys: the copy lies outside of the collected heap. */
export function secretBytes(length: number, lengthMax: number = length): Shape<Uint8Array<ArrayBuffer>> {
  const plain = bytes(length, lengthMax);
  return {
    ...plain,
    read: (value, path) => {
      const copy = plain.read(value, path);
      const own = concat(copy);
      wipe(copy);
      return own;
    },
  };
}

export function list<T>(item: Shape<T>, min: number, max: number): Shape<T[]> {
  const words = `list of ${min} to ${max}: ${item.words}`;
  return {
    read: (value, path) =>
      Array.isArray(value) && value.length >= min && value.length <= max
        ? value.map((entry, i) => item.read(entry, `${path}[${i}]`))
        : refuse(path, words),
    schema: { type: "array", items: item.schema, minItems: min, maxItems: max },
    words,
    inner: item,
  };
}

/** null stands for "none", so that every field of a signed structure is always there. */
export function nullable<T>(inner: Shape<T>): Shape<T | null> {
  return {
    read: (value, path) => (value === null ? null : inner.read(value, path)),
    schema: { oneOf: [inner.schema, { type: "null" }] },
    words: `null or ${inner.words}`,
    inner,
  };
}

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Values<F extends Fields> = { [K in keyof F]: Of<F[K]> };

export interface ObjectShape<T> extends Shape<T> {
  readonly fields: Fields;
}

/** Every field is required and no other is allowed. Reads a decoded CBOR map or a plain object. */
export function object<F extends Fields>(fields: F): ObjectShape<Values<F>> {
  const names = Object.keys(fields);
  return {
    read: (value, path) => {
      const entries = entriesOf(value) ?? refuse(path, "a map");
      for (const [name] of entries) if (!Object.hasOwn(fields, name)) refuse(`${path}.${name}`, "no such member");
      const found = new Map(entries);
      const out: Record<string, unknown> = {};
      for (const name of names) {
        if (!found.has(name)) refuse(`${path}.${name}`, "the member to be there");
        out[name] = fields[name]!.read(found.get(name), `${path}.${name}`);
      }
      return out as Values<F>;
    },
    schema: {
      type: "object",
      properties: Object.fromEntries(names.map((name) => [name, fields[name]!.schema])),
      required: names,
      additionalProperties: false,
    },
    words: `map of ${names.join(", ")}`,
    fields,
  };
}

/** One of several maps, told apart by their member `kind`, which is the key here and oneOf(key) in the map. */
export function tagged<T>(kinds: Readonly<Record<string, Shape<T>>>): Shape<T> {
  const kind = oneOf(...Object.keys(kinds));
  const shapes = Object.values(kinds);
  return {
    read: (value, path) => {
      const found = new Map(entriesOf(value) ?? refuse(path, "a map")).get("kind");
      return kinds[kind.read(found, `${path}.kind`)]!.read(value, path);
    },
    schema: { oneOf: shapes.map((shape) => shape.schema) },
    words: shapes.map((shape) => shape.words).join(", or "),
  };
}

/** The members of a decoded CBOR map or a plain object; undefined where the value is neither. */
export function entriesOf(value: unknown): [string, unknown][] | undefined {
  if (value instanceof Map) {
    const entries = [...value];
    return entries.every(([key]) => typeof key === "string") ? entries : undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    return undefined;
  }
  return Object.entries(value);
}

/** A message on the wire: a name, a shape and the largest encoding that a reader accepts, in bytes. */
export interface Message<T> {
  readonly name: string;
  readonly shape: ObjectShape<T>;
  readonly bytesMax: number;
  encode(value: T): Uint8Array<ArrayBuffer>;
  decode(encoded: Uint8Array): T;
}

export function message<F extends Fields>(name: string, bytesMax: number, fields: F): Message<Values<F>> {
  const shape = object(fields);
  return {
    name,
    shape,
    bytesMax,
    encode: (value) => {
      const copy = shape.read(value, name);
      const encoded = encodeCbor(copy);
      wipeBytes(copy);
      return encoded;
    },
    decode: (encoded) => {
      const decoded = decodeCbor(encoded, bytesMax);
      try {
        return shape.read(decoded, name);
      } finally {
        wipeBytes(decoded);
      }
    },
  };
}

/** Some messages hold keys: of what is made on the way between value and encoding no copy stays. */
function wipeBytes(value: unknown): void {
  if (value instanceof Uint8Array) wipe(value);
  else if (value instanceof Map || Array.isArray(value)) for (const entry of value.values()) wipeBytes(entry);
  else if (typeof value === "object" && value !== null) for (const entry of Object.values(value)) wipeBytes(entry);
}

// Arbitrary values of a shape, from the JSON schema that it carries; and the length of its longest encoding.

import fc from "fast-check";
import type { JsonSchema } from "../../src/core/shape.ts";
import { codePoints } from "./code-points.ts";

/** Lists and bytes stay this short where the shape allows more: enough to see them, quick to shrink. */
const LIST_LENGTH = 3;
const BYTES_MORE = 24;

type Members = Readonly<Record<string, JsonSchema>>;

export function valuesOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (Array.isArray(schema.oneOf)) return fc.oneof(...(schema.oneOf as JsonSchema[]).map(valuesOf));
  switch (schema.type) {
    case "null":
      return fc.constant(null);
    case "integer":
      return fc.oneof(fc.constantFrom(schema.minimum, schema.maximum), integersOf(schema));
    case "number":
      return fc.double({ ...doubleRange(schema), noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    case "string":
      return stringsOf(schema);
    case "array":
      return listsOf(schema);
    default:
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties as Members).map(([name, of]) => [name, valuesOf(of)])),
        { noNullPrototype: true },
      );
  }
}

function range(schema: JsonSchema): { min: number; max: number } {
  return { min: schema.minimum as number, max: schema.maximum as number };
}

function doubleRange(schema: JsonSchema): { min?: number; max?: number } {
  return schema.minimum === undefined ? {} : range(schema);
}

function stringsOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...(schema.enum as string[]));
  if (schema.format === "binary") {
    const minLength = schema.minLength as number;
    const maxLength = Math.min(schema.maxLength as number, minLength + BYTES_MORE);
    return fc.tuple(fc.integer({ min: minLength, max: maxLength }), fc.nat(255)).map(([length, first]) => {
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) bytes[i] = first + i * 7;
      const words = `${length} bytes from ${first}`;
      return Object.defineProperty(bytes, fc.toStringMethod, { value: () => words, enumerable: false });
    });
  }
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern as string), { size: "small" });
  // A code point may take two of the units that a shape counts.
  return codePoints(Math.min((schema.maxLength as number) / 2, 16));
}

function listsOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const minLength = schema.minItems as number;
  const maxLength = Math.min(schema.maxItems as number, Math.max(minLength, LIST_LENGTH));
  return fc.array(valuesOf(schema.items as JsonSchema), { minLength, maxLength });
}

/** Bytes of the longest encoding of any value of the shape. Text counts 3 bytes a UTF-16 unit, the most in UTF-8. */
export function longestEncoding(schema: JsonSchema): number {
  if (Array.isArray(schema.oneOf)) return Math.max(...(schema.oneOf as JsonSchema[]).map(longestEncoding));
  switch (schema.type) {
    case "null":
      return 1;
    case "integer":
      return headBytes(schema.maximum as number);
    case "number":
      return 9;
    case "string":
      return longestString(schema);
    case "array":
      return (
        headBytes(schema.maxItems as number) + (schema.maxItems as number) * longestEncoding(schema.items as JsonSchema)
      );
    default:
      return longestMap(schema.properties as Members);
  }
}

function longestString(schema: JsonSchema): number {
  if (schema.enum !== undefined) return Math.max(...(schema.enum as string[]).map((name) => 1 + name.length));
  const isAscii = schema.format === "binary" || schema.pattern !== undefined;
  const length = (schema.maxLength as number) * (isAscii ? 1 : 3);
  return headBytes(length) + length;
}

function longestMap(members: Members): number {
  const entries = Object.entries(members);
  return entries.reduce(
    (sum, [name, schema]) => sum + headBytes(name.length) + name.length + longestEncoding(schema),
    headBytes(entries.length),
  );
}

/** RFC 8949 section 3: the head of an item whose argument is value. */
function headBytes(value: number): number {
  if (value < 24) return 1;
  if (value < 2 ** 8) return 2;
  if (value < 2 ** 16) return 3;
  return value < 2 ** 32 ? 5 : 9;
}

/** fc.integer stops at 32 bits. */
function integersOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { min, max } = range(schema);
  return fc.bigInt({ min: BigInt(min), max: BigInt(max) }).map(Number);
}

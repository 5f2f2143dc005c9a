// Shapes of parameters that several rules take.

import { LIMITS } from "../core/limits.ts";
import type { Shape } from "../core/shape.ts";
import { float, list, oneOf, uint } from "../core/shape.ts";
import type { Parameter, Requirement } from "./rule.ts";
import { required } from "./rule.ts";

/** Pairs of updates fill a matrix of n * n float64: 32 MiB at most. */
const PAIRED_UPDATES_MAX = 2048;

export function updatesCount(min = 0): Shape<number> {
  return uint(min, LIMITS.devicesPerRoundMax);
}

export function liars(): Parameter<number> {
  return required(updatesCount(), "how many updates may be lies; declared, never guessed");
}

/** A value of the inner shape, or one of the names. */
export function orNamed<T, const N extends string>(inner: Shape<T>, ...names: readonly N[]): Shape<T | N> {
  const named = oneOf(...names);
  return {
    read: (value, path) => (typeof value === "string" ? named.read(value, path) : inner.read(value, path)),
    schema: { oneOf: [inner.schema, named.schema] },
    words: `${inner.words} or ${named.words}`,
  };
}

/** A vector: a Float32Array, or a list of numbers, finite as float32 too, where it comes from JSON or CBOR. */
export function vector(): Shape<Float32Array> {
  const item = float();
  const values = list(item, 1, LIMITS.parametersMax);
  return {
    read: (value, path) => {
      const read = value instanceof Float32Array ? value : Float32Array.from(values.read(value, path));
      read.forEach((entry, i) => void item.read(entry, `${path}[${i}]`));
      return read;
    },
    schema: values.schema,
    words: "vector of finite numbers",
  };
}

export function atLeast(updatesMin: number, words: string): Requirement {
  return { updatesMin, words };
}

/** For rules that compare every pair of updates. */
export function atLeastPaired(updatesMin: number, words: string): Requirement {
  return { updatesMin, updatesMax: PAIRED_UPDATES_MAX, words: `${words}, n <= ${PAIRED_UPDATES_MAX}` };
}

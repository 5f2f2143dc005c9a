// Reads what to do from JSON, CBOR or a caller's object. Unknown names, unknown members and values out of range are
// refused, so that a misspelt parameter never becomes a weaker defence.

import { QflareError } from "../core/error.ts";
import type { Shape } from "../core/shape.ts";
import { entriesOf } from "../core/shape.ts";
import type { Description } from "./rule.ts";
import type { Specification, Step } from "./table.ts";
import { PRE_AGGREGATORS, RULES } from "./table.ts";

const STEPS_MAX = 8;

/** Throws config.invalid where the value is not a specification. Returns a copy. */
export function readSpecification(value: unknown): Specification {
  const members = membersOf(value, "aggregation");
  const { before, ...own } = members;
  const out = readNamed(own, RULES, "aggregation");
  return (before === undefined ? out : { ...out, before: readSteps(before) }) as unknown as Specification;
}

function readSteps(value: unknown): Step[] {
  const path = "aggregation.before";
  if (!Array.isArray(value) || value.length > STEPS_MAX) return refuse(path, `expected a list of at most ${STEPS_MAX}`);
  return value.map((step, i) => {
    const at = `${path}[${i}]`;
    return readNamed(membersOf(step, at), PRE_AGGREGATORS, at) as unknown as Step;
  });
}

type Members = Record<string, unknown>;

function readNamed(members: Members, table: object, path: string): Members {
  const { rule: name, ...values } = members;
  if (typeof name !== "string" || !Object.hasOwn(table, name)) {
    return refuse(`${path}.rule`, `expected one of ${Object.keys(table).join(", ")}, got ${shown(name)}`);
  }
  const { parameters } = (table as Record<string, Description<Members>>)[name];
  for (const key of Object.keys(values)) {
    if (!Object.hasOwn(parameters, key)) refuse(`${path}.${key}`, `${name} has no such parameter`);
  }
  const out: Members = { rule: name };
  for (const [key, { shape, optional }] of Object.entries(parameters)) {
    if (Object.hasOwn(values, key)) out[key] = readValue(shape, values[key], `${path}.${key}`);
    else if (!optional) refuse(`${path}.${key}`, `${name} needs it`);
  }
  return out;
}

export function readValue<T>(shape: Shape<T>, value: unknown, path: string): T {
  try {
    return shape.read(value, path);
  } catch (cause) {
    throw new QflareError("config.invalid", `${path}: expected ${shape.words}`, { cause });
  }
}

/** The members of a map or plain object. */
export function membersOf(value: unknown, path: string): Members {
  const entries = entriesOf(value) ?? refuse(path, "expected a map");
  const out: Members = Object.create(null);
  for (const [key, member] of entries) out[key] = member;
  return out;
}

export function refuse(path: string, problem: string): never {
  throw new QflareError("config.invalid", `${path}: ${problem}`);
}

function shown(name: unknown): string {
  return typeof name === "string" ? `"${name.slice(0, 40)}"` : typeof name;
}

// Reads what to do from JSON, CBOR or a caller's object. Unknown names, unknown members and values out of range are
// refused, so that a misspelt parameter never becomes a weaker defence.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Shape } from "../core/shape.ts";
import { boolean, entriesOf, uint } from "../core/shape.ts";
import { assumedLiars, PRESETS, type Preset, type PresetName } from "./presets.ts";
import type { Description } from "./rule.ts";
import type { Specification, Step } from "./table.ts";
import { PRE_AGGREGATORS, RULES } from "./table.ts";

const STEPS_MAX = 8;

/** A preset by its name. f: where absent, a fifth of the updates of the round. */
export interface PresetChoice {
  readonly rule: PresetName;
  readonly f?: number;
}

/** What may stand wherever a rule is asked for. */
export type Choice = Specification | PresetChoice;

/** Throws config.invalid where the value is neither a specification nor a preset. Returns a copy. */
export function readChoice(value: unknown): Choice {
  const members = membersOf(value, "aggregation");
  const { rule } = members;
  if (typeof rule === "string" && Object.hasOwn(PRESETS, rule)) return readPreset(rule as PresetName, members);
  return readSpecification(value);
}

function readPreset(rule: PresetName, { rule: _, ...values }: Members): PresetChoice {
  const { takesLiars }: Preset = PRESETS[rule];
  for (const key of Object.keys(values)) {
    if (key !== "f" || !takesLiars) refuse(`aggregation.${key}`, `${rule} has no such parameter`);
  }
  if (!Object.hasOwn(values, "f")) return { rule };
  return { rule, f: readValue(uint(0, LIMITS.devicesPerRoundMax), values.f, "aggregation.f") };
}

/** As JSON text, with vectors as lists. */
export function choiceText(choice: Choice): string {
  return JSON.stringify(choice, (_key, value) => (value instanceof Float32Array ? [...value] : value));
}

/** The specification that a checked choice means for a round of so many updates, counted before any is rejected. */
export function specificationFor(choice: Choice, updates: number): Specification {
  if (!isPreset(choice)) return choice;
  const preset: Preset = PRESETS[choice.rule];
  return preset.specification(choice.f ?? assumedLiars(updates));
}

function isPreset(choice: Choice): choice is PresetChoice {
  return Object.hasOwn(PRESETS, choice.rule);
}

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
    const names = [...Object.keys(table), ...(table === RULES ? Object.keys(PRESETS) : [])].join(", ");
    return refuse(`${path}.rule`, `expected one of ${names}, got ${shown(name)}`);
  }
  const description = (table as Record<string, Description<Members>>)[name];
  const shapes = shapesOf(description);
  for (const key of Object.keys(values)) {
    if (!Object.hasOwn(shapes, key)) refuse(`${path}.${key}`, `${name} has no such parameter`);
  }
  const out: Members = { rule: name };
  for (const [key, { shape, optional }] of Object.entries(shapes)) {
    if (Object.hasOwn(values, key)) out[key] = readValue(shape, values[key], `${path}.${key}`);
    else if (!optional) refuse(`${path}.${key}`, `${name} needs it`);
  }
  return out;
}

function shapesOf({
  parameters,
  layerwise,
}: Description<Members>): Record<string, { shape: Shape<unknown>; optional: boolean }> {
  return layerwise === undefined ? parameters : { ...parameters, layerwise: { shape: boolean(), optional: true } };
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

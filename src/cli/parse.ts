// Values that people type.

import { UsageError } from "./output.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "500ms", "10s", "5m", "1h", "7d" in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!]!;
  return Number.isFinite(value) ? value : undefined;
}

export function parseWhole(text: string, min: number, max: number): number | undefined {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

export function parseNumber(text: string, min: number, max: number): number | undefined {
  const value = /^\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

export function parseChoice<T extends string>(text: string, choices: readonly T[]): T | undefined {
  return choices.find((known) => known === text);
}

/** Of an option that may stand there again. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** Throws UsageError, which names the flag; so do those below. */
export function whole(text: string, flag: string, min: number, max: number): number {
  return parseWhole(text, min, max) ?? refuse(flag, `a whole number from ${min} to ${max}`, text);
}

export function number(text: string, flag: string, min: number, max: number): number {
  return parseNumber(text, min, max) ?? refuse(flag, `a number from ${min} to ${max}`, text);
}

export function choice<T extends string>(text: string, flag: string, choices: readonly T[]): T {
  return parseChoice(text, choices) ?? refuse(flag, `one of ${choices.join(", ")}`, text);
}

function refuse(flag: string, expected: string, text: string): never {
  throw new UsageError(`${flag}: expected ${expected}, got ${JSON.stringify(text)}`);
}

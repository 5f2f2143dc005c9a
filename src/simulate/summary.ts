// What many runs come to: for each rule and attack the mean and the spread over seeds, for each rule its worst case.

import type { RunResult } from "./grid.ts";
import type { RoundRecord } from "./run.ts";

export interface Spread {
  readonly mean: number;
  /** Standard deviation over seeds (n - 1); 0 for one seed. */
  readonly deviation: number;
}

export interface Cell {
  readonly rule: string;
  readonly attack: string;
  /** Mean of the last three evaluations. */
  readonly accuracy: Spread;
  /** null unless the attack is a backdoor. */
  readonly backdoor: Spread | null;
  /** Share of the liars' updates that a filter rejected or the rule did not choose; null where nobody lied. */
  readonly excludedLiars: number | null;
  readonly excludedHonest: number;
  /** Of all seeds. */
  readonly rounds: number;
  readonly failedRounds: number;
}

export interface RuleSummary {
  readonly rule: string;
  /** Without an attack; null where that was not run. */
  readonly clean: number | null;
  readonly worst: { readonly accuracy: number; readonly attack: string };
  readonly worstBackdoor: number | null;
}

export interface Summary {
  readonly cells: readonly Cell[];
  readonly rules: readonly RuleSummary[];
}

const LAST = 3;

export function summarise(results: readonly RunResult[]): Summary {
  const names = (of: (result: RunResult) => string): string[] => [...new Set(results.map(of))];
  const rules = names((result) => result.rule);
  const cells = rules.flatMap((rule) =>
    names((result) => result.attack).map((attack) =>
      cellOf(results.filter((result) => result.rule === rule && result.attack === attack)),
    ),
  );
  return { cells, rules: rules.map((rule) => ruleOf(cells.filter((cell) => cell.rule === rule))) };
}

function cellOf(results: readonly RunResult[]): Cell {
  const [{ rule, attack }] = results;
  const records = results.flatMap((result) => result.records);
  const sum = (of: (record: RoundRecord) => number): number => records.reduce((total, record) => total + of(record), 0);
  const liars = sum((record) => record.liars);
  const honest = sum((record) => record.honest);
  const backdoors = results.map((result) => lastMean(result.records, (record) => record.backdoor));
  return {
    rule,
    attack,
    accuracy: spreadOf(results.map((result) => lastMean(result.records, (record) => record.accuracy) ?? 0)),
    backdoor: backdoors.some((value) => value === null) ? null : spreadOf(backdoors as number[]),
    excludedLiars: liars === 0 ? null : sum((record) => record.excludedLiars) / liars,
    excludedHonest: honest === 0 ? 0 : sum((record) => record.excludedHonest) / honest,
    rounds: records.length,
    failedRounds: records.filter((record) => record.failure !== null).length,
  };
}

function ruleOf(cells: readonly Cell[]): RuleSummary {
  const withoutBackdoor = cells.filter((cell) => cell.backdoor === null);
  const worst = lowest(withoutBackdoor.length > 0 ? withoutBackdoor : cells);
  const backdoors = cells.flatMap((cell) => (cell.backdoor === null ? [] : [cell.backdoor.mean]));
  return {
    rule: cells[0].rule,
    clean: cells.find((cell) => cell.attack === "none")?.accuracy.mean ?? null,
    worst: { accuracy: worst.accuracy.mean, attack: worst.attack },
    worstBackdoor: backdoors.length === 0 ? null : Math.max(...backdoors),
  };
}

function lowest(cells: readonly Cell[]): Cell {
  return cells.reduce((a, b) => (b.accuracy.mean < a.accuracy.mean ? b : a));
}

/** Of the last evaluated rounds. */
function lastMean(records: readonly RoundRecord[], of: (record: RoundRecord) => number | null): number | null {
  const values = records.map(of).filter((value) => value !== null);
  const last = values.slice(-LAST);
  return last.length === 0 ? null : last.reduce((a, b) => a + b) / last.length;
}

function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}

/** One line a round of every run. */
export function csvOf(results: readonly RunResult[]): string {
  const columns = [
    ...[
      "round",
      "accuracy",
      "loss",
      "backdoor",
      "accepted",
      "honest",
      "liars",
      "excludedLiars",
      "excludedHonest",
      "failure",
    ],
  ] as const satisfies readonly (keyof RoundRecord)[];
  const quoted = (value: unknown): string => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const head = [
    "rule",
    "attack",
    "seed",
    ...columns.map((name) => name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)),
  ];
  const lines = results.flatMap(({ rule, attack, seed, records }) =>
    records.map((record) => [rule, attack, seed, ...columns.map((name) => record[name])].map(quoted).join(",")),
  );
  return `${[head.join(","), ...lines].join("\n")}\n`;
}

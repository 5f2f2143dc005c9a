// Reads a file of Wycheproof vectors. A file that yields fewer cases than it declares fails.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export interface Case {
  readonly tcId: number;
  readonly comment?: string;
  readonly flags: readonly string[];
  readonly result: "valid" | "invalid" | "acceptable";
  /** Members of the algorithm, in hexadecimal. */
  readonly [field: string]: unknown;
}

export interface Group {
  readonly tests: readonly Case[];
  readonly [field: string]: unknown;
}

export function readGroups(name: string): readonly Group[] {
  const url = new URL(`./data/wycheproof/${name}.json`, import.meta.url);
  const { numberOfTests, testGroups } = JSON.parse(readFileSync(url, "utf8")) as {
    numberOfTests: number;
    testGroups: Group[];
  };
  const found = testGroups.reduce((sum, { tests }) => sum + tests.length, 0);
  assert.ok(found > 0 && found === numberOfTests, `${name}: expected ${numberOfTests} cases, found ${found}`);
  return testGroups;
}

export function unhex(value: unknown): Uint8Array<ArrayBuffer> {
  assert.ok(typeof value === "string", "expected hexadecimal text");
  return Uint8Array.from(Buffer.from(value, "hex"));
}

export function label({ tcId, comment, flags }: Case): string {
  return `case ${tcId} ${comment ?? ""} ${flags.join(" ")}`;
}

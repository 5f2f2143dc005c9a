// A call of the command line that is refused: one line on standard error, no trace, the right exit code.

import assert from "node:assert/strict";
import { cleanEnvironment, runCli } from "./cli.ts";

export interface Refusal {
  readonly args: readonly string[];
  /** 1: failed, 2: used wrongly. */
  readonly code: 1 | 2;
  readonly says: RegExp;
  /** On standard output before; nothing by default. */
  readonly prints?: RegExp;
  readonly env?: NodeJS.ProcessEnv;
}

export async function assertRefused(folder: string, { args, code, says, prints = /^$/, env }: Refusal): Promise<void> {
  const what = args.join(" ");
  const ending = await runCli(args, { cwd: folder, ...(env === undefined ? {} : { env: cleanEnvironment(env) }) });
  assert.equal(ending.code, code, `${what}: ${ending.stderr}`);
  assert.match(ending.stderr, says, what);
  assert.doesNotMatch(ending.stderr, /^\s+at /m, what);
  const lines = ending.stderr.trimEnd().split("\n");
  // The parser of the command line adds where to find help.
  assert.equal(lines.filter((line) => line !== "(add --help for what it takes)").length, 1, ending.stderr);
  assert.match(ending.stdout, prints, what);
}

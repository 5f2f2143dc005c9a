// The two provers, both packages of Debian: E (Schulz, https://www.eprover.org) and SPASS (Weidenbach et al.). Each
// gets the same clauses in its own format and answers "reached" (a derivation of the goal), "unreachable" (all that
// follows from the clauses is listed, for any number of sessions, and the goal is not among it), or neither in time.

import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dfg, tptp } from "./formats.ts";
import type { Clause, Term } from "./term.ts";

export type Answer = "reached" | "unreachable" | "no answer";

export interface Verdict {
  readonly answer: Answer;
  readonly seconds: number;
}

export interface Prover {
  readonly name: "E" | "SPASS";
  readonly program: string;
  readonly extension: string;
  format(protocol: readonly Clause[], goal: Term): string;
  options(secondsMax: number): string[];
  readonly reached: RegExp;
  readonly unreachable: RegExp;
}

/** Options were found by trial: with E's own choice some obligations take a hundred times as long. */
export const PROVERS: readonly Prover[] = [
  {
    name: "E",
    program: "eprover",
    extension: "p",
    format: tptp,
    options: (secondsMax) => ["-tKBO6", "-WSelectNewComplexAHP", "--silent", `--cpu-limit=${secondsMax}`],
    reached: /SZS status Unsatisfiable/,
    unreachable: /SZS status Satisfiable/,
  },
  {
    name: "SPASS",
    program: "SPASS",
    extension: "dfg",
    format: dfg,
    options: (secondsMax) => ["-Sorts=0", `-TimeLimit=${secondsMax}`, "-PGiven=0", "-PProblem=0"],
    reached: /SPASS beiseite: Proof found/,
    unreachable: /SPASS beiseite: Completion found/,
  },
];

export function isInstalled(program: string): boolean {
  return spawnSync("which", [program]).status === 0;
}

/** folder: where the prover's input is written, as <name>.<extension>. */
export async function prove(
  prover: Prover,
  problem: { readonly name: string; readonly protocol: readonly Clause[]; readonly goal: Term },
  folder: string,
  secondsMax: number,
): Promise<Verdict> {
  const path = join(folder, `${problem.name}.${prover.extension}`);
  writeFileSync(path, prover.format(problem.protocol, problem.goal));
  const start = performance.now();
  const output = await outputOf(prover.program, [...prover.options(secondsMax), path], 2 * secondsMax);
  const seconds = (performance.now() - start) / 1000;
  if (prover.reached.test(output)) return { answer: "reached", seconds };
  return { answer: prover.unreachable.test(output) ? "unreachable" : "no answer", seconds };
}

/** What the program writes, wherever to. Ended after so many seconds, should its own limit not end it. */
export function outputOf(program: string, args: readonly string[], secondsMax: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: 1000 * secondsMax });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}

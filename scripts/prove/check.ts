// Puts obligations to both provers, and scenarios to ProVerif where it is installed.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkReadable } from "./formats.ts";
import { clausesOf, expected, GOAL, type Obligation } from "./obligation.ts";
import { answersIn, expectedAnswers, proverifModel, type Scenario } from "./proverif.ts";
import { isInstalled, outputOf, PROVERS, prove, type Verdict } from "./provers.ts";
import type { Tables } from "./tables.ts";

/** Far above what any obligation takes, so that a slow machine changes no answer. */
const SECONDS_MAX = 60;

export interface Outcome {
  readonly obligation: Obligation;
  /** In the order of PROVERS. */
  readonly verdicts: readonly Verdict[];
  /** Whether every prover answered as expected. */
  readonly isAsExpected: boolean;
}

export async function checkObligation(obligation: Obligation, tables: Tables, folder: string): Promise<Outcome> {
  const problem = { name: obligation.name, protocol: clausesOf(obligation, tables), goal: GOAL };
  checkReadable(problem.protocol, GOAL);
  const verdicts: Verdict[] = [];
  for (const prover of PROVERS) verdicts.push(await prove(prover, problem, folder, SECONDS_MAX));
  return { obligation, verdicts, isAsExpected: verdicts.every(({ answer }) => answer === expected(obligation)) };
}

/** Names of the programs that are not on the PATH. */
export function missingProvers(): string[] {
  return PROVERS.map(({ program }) => program).filter((program) => !isInstalled(program));
}

export interface ScenarioOutcome {
  readonly answers: readonly string[];
  readonly isAsExpected: boolean;
}

export async function checkScenario(scenario: Scenario, tables: Tables, folder: string): Promise<ScenarioOutcome> {
  const path = join(folder, `${scenario.name}.pv`);
  writeFileSync(path, proverifModel(tables, scenario));
  const answers = answersIn(await outputOf("proverif", [path], SECONDS_MAX));
  return { answers, isAsExpected: answers.join() === expectedAnswers(scenario).join() };
}

// Puts the protocol to automatic provers: every obligation to E and to SPASS, and, where it is installed, the handshake
// to ProVerif. Arguments choose obligations by a part of their name. Exit 1 where an answer differs from what is
// expected and, with CI=true, where a prover is missing. What the models say: docs/formal.md.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkObligation, checkScenario, missingProvers, type Outcome } from "./prove/check.ts";
import { expected, type Obligation } from "./prove/obligation.ts";
import { allObligations } from "./prove/obligations.ts";
import { SCENARIOS } from "./prove/proverif.ts";
import { isInstalled, PROVERS } from "./prove/provers.ts";
import { productTables } from "./prove/tables.ts";

const WORKERS = 2;
const WIDTHS = [40, 9, 12, 12, 12];

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0))
    .join(" ")
    .trimEnd();
}

function report({ obligation, verdicts, isAsExpected }: Outcome): void {
  const seconds = verdicts.reduce((sum, verdict) => sum + verdict.seconds, 0);
  const answers = verdicts.map(({ answer }) => answer);
  const cells = [obligation.name, obligation.kind, expected(obligation), ...answers, seconds.toFixed(1)];
  console.log(row(isAsExpected ? cells : [...cells, "DIFFERS"]));
}

/** How many obligations differ. */
async function checkAll(obligations: readonly Obligation[], folder: string): Promise<number> {
  const tables = productTables();
  const waiting = [...obligations];
  let differing = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const outcome = await checkObligation(next, tables, folder);
      report(outcome);
      if (!outcome.isAsExpected) differing += 1;
    }
  };
  console.log(row(["obligation", "kind", "expected", ...PROVERS.map(({ name }) => name), "seconds"]));
  await Promise.all(Array.from({ length: WORKERS }, work));
  return differing;
}

async function checkScenarios(folder: string): Promise<number> {
  if (!isInstalled("proverif")) {
    console.log("proverif is not installed: agreement of session with session was not checked");
    return 0;
  }
  let differing = 0;
  for (const scenario of SCENARIOS) {
    const { answers, isAsExpected } = await checkScenario(scenario, productTables(), folder);
    console.log(row([`ProVerif ${scenario.name}`, answers.join(" "), isAsExpected ? "" : "DIFFERS"]));
    if (!isAsExpected) differing += 1;
  }
  return differing;
}

async function main(filters: readonly string[]): Promise<void> {
  const missing = missingProvers();
  if (missing.length > 0) {
    console.log(`skipped: expected ${missing.join(" and ")} on the PATH (Debian: apt-get install eprover spass)`);
    if (process.env.CI === "true") process.exitCode = 1;
    return;
  }
  const isWanted = ({ name }: Obligation): boolean => filters.every((filter) => name.includes(filter));
  const obligations = allObligations().filter(isWanted);
  if (obligations.length === 0) {
    console.error(`Cannot prove: expected a part of an obligation's name, got ${filters.join(" ")}`);
    process.exitCode = 2;
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "qflare-prove-"));
  const start = performance.now();
  try {
    const differing = (await checkAll(obligations, folder)) + (filters.length === 0 ? await checkScenarios(folder) : 0);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`${obligations.length} obligations, ${differing} differ, ${seconds} s`);
    if (differing > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await main(process.argv.slice(2));

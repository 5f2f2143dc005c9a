// Writes the tables of docs/isolation.md and SECURITY.md from scripts/isolation/escapes.ts; what the pages say in their
// own words stays. With --check it writes nothing and exits 1 where a page is not current.

import { readFileSync, writeFileSync } from "node:fs";
import { ESCAPES, type Escape } from "./isolation/escapes.ts";
import { type Block, rebuild } from "./wire-tables/page.ts";

function table(columns: readonly string[], rows: readonly (readonly string[])[]): Block {
  return { table: { columns, rows, isExplained: false } };
}

function rowOf(name: string, { from, isRootOnly }: Escape): string[] {
  const open = isRootOnly === true ? "root can" : "yes";
  return [name, open, from === "permission" ? "refused" : open, "refused"];
}

const LEVELS: readonly string[] = ["none", "permission", "sandbox"];

export const PAGES: Readonly<Record<string, Readonly<Record<string, Block>>>> = {
  "docs/isolation.md": Object.fromEntries(
    ESCAPES.map(({ title, rows }) => [
      title,
      table(
        [title, ...LEVELS],
        Object.entries(rows).map(([name, row]) => rowOf(name, row)),
      ),
    ]),
  ),
  "SECURITY.md": {
    isolation: table(
      ["attempts", "tried", "refused at permission", "refused at sandbox"],
      ESCAPES.map(({ title, rows }) => {
        const escapes = Object.values(rows);
        const early = escapes.filter(({ from }) => from === "permission").length;
        return [title, String(escapes.length), String(early), String(escapes.length)];
      }),
    ),
  },
};

function main(args: readonly string[]): void {
  for (const [path, blocks] of Object.entries(PAGES)) {
    const file = new URL(`../${path}`, import.meta.url);
    const written = readFileSync(file, "utf8");
    const { page, problems } = rebuild(written, blocks);
    if (!args.includes("--check")) writeFileSync(file, page);
    else if (page !== written) problems.push("not current: run node scripts/isolation-tables.ts");
    for (const problem of problems) console.log(`${path}: ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  }
}

if (import.meta.main) main(process.argv.slice(2));

// Writes the tables and worked examples of docs/wire.md from the sources; what the page says in its own words stays.
// With --check it writes nothing and exits 1 where the page is not current.

import { readFileSync, writeFileSync } from "node:fs";
import { exampleBlocks } from "./wire-tables/examples.ts";
import { messageBlocks } from "./wire-tables/messages.ts";
import { rebuild } from "./wire-tables/page.ts";
import { tableBlocks } from "./wire-tables/tables.ts";

const PAGE = new URL("../docs/wire.md", import.meta.url);

function main(args: readonly string[]): void {
  const written = readFileSync(PAGE, "utf8");
  const { page, problems } = rebuild(written, { ...messageBlocks(), ...tableBlocks(), ...exampleBlocks() });
  const isCheck = args.includes("--check");
  if (isCheck && page !== written) problems.push("not current: run node scripts/wire-tables.ts");
  if (!isCheck) writeFileSync(PAGE, page);
  for (const problem of problems) console.log(`docs/wire.md: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}

main(process.argv.slice(2));

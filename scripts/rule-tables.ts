// Writes the tables of docs/aggregation.md from the table of rules; what the page says in its own words stays. With
// --check it writes nothing and exits 1 where the page is not current.

import { readFileSync, writeFileSync } from "node:fs";
import { PRESETS, type Preset } from "../src/aggregation/presets.ts";
import type { Description } from "../src/aggregation/rule.ts";
import { choiceText } from "../src/aggregation/specification.ts";
import { PRE_AGGREGATORS, RULES } from "../src/aggregation/table.ts";
import { type Block, rebuild } from "./wire-tables/page.ts";

const PAGE = new URL("../docs/aggregation.md", import.meta.url);
const EXAMPLE_F = 2;

export function ruleBlocks(): Record<string, Block> {
  return {
    rules: rulesTable(RULES as never),
    "rule parameters": parametersTable(RULES as never),
    steps: rulesTable(PRE_AGGREGATORS as never),
    "step parameters": parametersTable(PRE_AGGREGATORS as never),
    presets: presetsTable(PRESETS),
  };
}

type Descriptions = Readonly<Record<string, Description<Record<string, unknown>>>>;

function rulesTable(table: Descriptions): Block {
  const columns = ["name", "what it does", "needs", "weights", "cost", "layerwise", "does not stop", "source"];
  const rows = Object.values(table).map((rule) => [
    `\`${rule.name}\``,
    rule.summary,
    rule.requirement({ f: 0 }).words,
    rule.weights,
    rule.complexity,
    rule.layerwise === true ? "yes" : "",
    rule.limits,
    rule.source,
  ]);
  return { table: { columns, rows, isExplained: false } };
}

function parametersTable(table: Descriptions): Block {
  const rows = Object.values(table).flatMap((rule) =>
    Object.entries(rule.parameters).map(([name, { shape, words, optional }]) => [
      `\`${rule.name}\``,
      `\`${name}\``,
      optional ? "" : "yes",
      shape.words,
      words,
    ]),
  );
  return { table: { columns: ["of", "parameter", "needed", "value", "meaning"], rows, isExplained: false } };
}

function presetsTable(table: Readonly<Record<string, Preset>>): Block {
  const columns = ["name", "what it does", "takes f", `stands for (f = ${EXAMPLE_F})`, "does not stop"];
  const rows = Object.entries(table).map(([name, preset]) => [
    `\`${name}\``,
    preset.summary,
    preset.takesLiars ? "yes" : "",
    `\`${choiceText(preset.specification(EXAMPLE_F))}\``,
    preset.limits,
  ]);
  return { table: { columns, rows, isExplained: false } };
}

function main(args: readonly string[]): void {
  const written = readFileSync(PAGE, "utf8");
  const { page, problems } = rebuild(written, ruleBlocks());
  const isCheck = args.includes("--check");
  if (isCheck && page !== written) problems.push("not current: run node scripts/rule-tables.ts");
  if (!isCheck) writeFileSync(PAGE, page);
  for (const problem of problems) console.log(`docs/aggregation.md: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}

if (import.meta.main) main(process.argv.slice(2));

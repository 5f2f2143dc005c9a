import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ruleBlocks } from "../../../scripts/rule-tables.ts";
import { rebuild } from "../../../scripts/wire-tables/page.ts";

test("docs/aggregation.md says what the table of rules says", () => {
  const written = readFileSync(new URL("../../../docs/aggregation.md", import.meta.url), "utf8");
  const { page, problems } = rebuild(written, ruleBlocks());
  assert.deepEqual(problems, []);
  assert.equal(page, written, "run node scripts/rule-tables.ts");
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PAGES } from "../../../scripts/isolation-tables.ts";
import { rebuild } from "../../../scripts/wire-tables/page.ts";

for (const [path, blocks] of Object.entries(PAGES)) {
  test(`${path} says of isolation what the table says`, () => {
    const written = readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
    const { page, problems } = rebuild(written, blocks);
    assert.deepEqual(problems, []);
    assert.equal(page, written, "run node scripts/isolation-tables.ts");
  });
}

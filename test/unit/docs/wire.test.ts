import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { exampleBlocks } from "../../../scripts/wire-tables/examples.ts";
import { MESSAGES, messageBlocks } from "../../../scripts/wire-tables/messages.ts";
import { type Block, rebuild } from "../../../scripts/wire-tables/page.ts";
import { tableBlocks } from "../../../scripts/wire-tables/tables.ts";
import type { Message } from "../../../src/core/shape.ts";

const root = new URL("../../../", import.meta.url);
const page = readFileSync(new URL("docs/wire.md", root), "utf8");
const blocks = { ...messageBlocks(), ...tableBlocks(), ...exampleBlocks() };

const table: Block = { table: { columns: ["name", "value", "meaning"], rows: [["`a`", "1|2"]], isExplained: true } };

function part(text: string): string {
  return `Before.\n\n<!-- made: t -->\n${text}<!-- end -->\n\nAfter.\n`;
}

test("the page of the wire is current, every part stands once and every row is explained", () => {
  const { page: made, problems } = rebuild(page, blocks);
  assert.deepEqual(problems, []);
  assert.equal(made, page, "run node scripts/wire-tables.ts");
});

test("the script's check passes on the page and writes nothing", () => {
  const script = fileURLToPath(new URL("scripts/wire-tables.ts", root));
  const { status, stdout } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  assert.equal(stdout, "");
  assert.equal(status, 0);
  assert.equal(readFileSync(new URL("docs/wire.md", root), "utf8"), page);
});

test("every message that a file of src/wire makes has a table", async () => {
  const files = readdirSync(new URL("src/wire/", root)).filter((name) => name.endsWith(".ts"));
  const named = new Set(MESSAGES.map((message) => message.name));
  let count = 0;
  for (const file of files) {
    const exported: object = await import(new URL(`src/wire/${file}`, root).href);
    for (const value of Object.values(exported).filter(isMessage)) {
      assert.ok(named.has(value.name), `${file}: ${value.name} has no table`);
      count += 1;
    }
  }
  assert.ok(count >= 20, `expected 20 messages or more, got ${count}`);
});

function isMessage(value: unknown): value is Message<unknown> {
  return typeof value === "object" && value !== null && "bytesMax" in value && "decode" in value;
}

test("what the page says in its own words survives, what is made does not", () => {
  const written = part(
    "| name | value | meaning |\n| --- | --- | --- |\n| `a` | 7 | what it is for |\n| `gone` | 8 | x |\n",
  );
  const { page: made, problems } = rebuild(written, { t: table });
  assert.deepEqual(problems, []);
  assert.ok(made.includes("| `a` | 1\\|2 | what it is for |\n"));
  assert.ok(!made.includes("gone"));
  assert.equal(rebuild(made, { t: table }).page, made);
});

test("a row without an explanation, an unknown part, a missing one and a double one are problems", () => {
  assert.deepEqual(rebuild(part(""), { t: table }).problems, ['part "t": `a` is not explained']);
  assert.deepEqual(rebuild(part(""), {}).problems, ['no part is called "t"']);
  assert.deepEqual(rebuild("", { t: table }).problems, ['part "t" is missing']);
  const twice = part("| `a` | 1 | x |\n").repeat(2);
  assert.deepEqual(rebuild(twice, { t: table }).problems, ['part "t" stands twice']);
});

test("members of maps inside a message stand below them", () => {
  const block = messageBlocks()["message begin request"];
  assert.ok("table" in block);
  const names = block.table.rows.map(([name, words]) => `${name} ${words}`);
  assert.ok(names.includes("`cohort[].device_id` 16 bytes"));
  assert.ok(names.includes("`cohort` list of 1 to 10000: map"));
});

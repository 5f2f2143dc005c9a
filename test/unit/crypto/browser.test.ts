import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseModule } from "../../../scripts/tidy/module.ts";

const floor = fileURLToPath(new URL("../../../src/crypto", import.meta.url));

/** What FrodoKEM needs in a browser. */
const ENTRIES = ["frodokem.ts", "kernel-primitives.ts"].map((name) => join(floor, name));

/** Every file that runs when one of the entries is imported: imports of types alone are gone by then. */
function reached(entries: readonly string[]): Map<string, ReturnType<typeof parseModule>> {
  const modules = new Map(entries.map((path) => [path, parseModule(readFileSync(path, "utf8"))]));
  for (const [path, { imports }] of modules) {
    for (const { specifier } of imports.filter((entry) => !entry.isTypeOnly && entry.specifier.startsWith("."))) {
      const target = join(dirname(path), specifier);
      if (!modules.has(target)) modules.set(target, parseModule(readFileSync(target, "utf8")));
    }
  }
  return modules;
}

test("FrodoKEM by kernels imports nothing but files of this project", () => {
  const modules = reached(ENTRIES);
  assert.ok(modules.size > 10, `expected the walk to reach more than 10 files, got ${modules.size}`);
  for (const [path, { imports }] of modules) {
    for (const { specifier, isTypeOnly } of imports) {
      assert.ok(isTypeOnly || specifier.startsWith("."), `${path} imports ${specifier}`);
    }
  }
});

test("FrodoKEM by kernels names no global that only Node has", () => {
  for (const [path, { tokens }] of reached(ENTRIES)) {
    const found = tokens.find(({ kind, text }) => kind === "word" && ["Buffer", "process", "require"].includes(text));
    assert.equal(found?.text, undefined, path);
  }
});

test("the walk over imports does see node:crypto where it is", () => {
  const modules = reached([join(floor, "native-primitives.ts")]);
  const specifiers = [...modules.values()].flatMap(({ imports }) => imports.map(({ specifier }) => specifier));
  assert.ok(specifiers.includes("node:crypto"));
});

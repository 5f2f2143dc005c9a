import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseModule } from "../../../scripts/tidy/module.ts";
import { browserReplacements } from "../../support/browser.ts";

const floor = fileURLToPath(new URL("../../../src/crypto", import.meta.url));

/** The public entry of the cryptography. */
const ENTRIES = [join(floor, "index.ts")];
/** Packages that a browser's bundle takes in. */
const PACKAGES = /^@noble\/(?:hashes|post-quantum)\//;

const root = fileURLToPath(new URL("../../..", import.meta.url));
const inBrowsers = new Map([...browserReplacements()].map(([from, to]) => [join(root, from), join(root, to)]));

/** Every file that runs when one of the entries is imported: imports of types alone are gone by then. */
function reached(
  entries: readonly string[],
  replacements: ReadonlyMap<string, string> = inBrowsers,
): Map<string, ReturnType<typeof parseModule>> {
  const modules = new Map(entries.map((path) => [path, parseModule(readFileSync(path, "utf8"))]));
  for (const [path, { imports }] of modules) {
    for (const { specifier } of imports.filter((entry) => !entry.isTypeOnly && entry.specifier.startsWith("."))) {
      const named = join(dirname(path), specifier);
      const target = replacements.get(named) ?? named;
      if (!modules.has(target)) modules.set(target, parseModule(readFileSync(target, "utf8")));
    }
  }
  return modules;
}

test("the cryptography in a browser imports nothing but files of this project and noble", () => {
  const modules = reached(ENTRIES);
  assert.ok(modules.size > 25, `expected the walk to reach more than 25 files, got ${modules.size}`);
  for (const [path, { imports }] of modules) {
    for (const { specifier, isTypeOnly } of imports) {
      assert.ok(isTypeOnly || specifier.startsWith(".") || PACKAGES.test(specifier), `${path} imports ${specifier}`);
    }
  }
});

test("the cryptography in a browser names no global that only Node has", () => {
  for (const [path, { tokens }] of reached(ENTRIES)) {
    const found = tokens.find(({ kind, text }) => kind === "word" && ["Buffer", "process", "require"].includes(text));
    assert.equal(found?.text, undefined, path);
  }
});

test("in Node the same entry imports node:crypto and nothing of noble", () => {
  const specifiers = [...reached(ENTRIES, new Map()).values()].flatMap(({ imports }) =>
    imports.filter(({ isTypeOnly }) => !isTypeOnly).map(({ specifier }) => specifier),
  );
  assert.ok(specifiers.includes("node:crypto"));
  assert.deepEqual(
    specifiers.filter((specifier) => PACKAGES.test(specifier)),
    [],
  );
});

test("what package.json replaces for browsers is there, on both sides", () => {
  assert.ok(inBrowsers.size > 0);
  for (const [from, to] of inBrowsers) {
    assert.ok(existsSync(from), from);
    assert.ok(existsSync(to), to);
  }
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildProgram } from "../../../src/server/enclave-program.ts";
import { folderOf } from "../../support/folder.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MAKE = `
import { buildProgram } from ${JSON.stringify(new URL("../../../src/server/enclave-program.ts", import.meta.url).href)};
process.stdout.write(buildProgram(process.argv[1]));
`;

test("the enclave's program is the same byte for byte from another folder, home, language and time zone", (context) => {
  const copy = join(folderOf(context), "elsewhere");
  mkdirSync(copy);
  cpSync(join(ROOT, "src"), join(copy, "src"), { recursive: true });
  cpSync(join(ROOT, "node_modules", "cborg"), join(copy, "node_modules", "cborg"), { recursive: true });
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", MAKE, copy], {
    cwd: copy,
    env: { TZ: "Asia/Tokyo", LANG: "tr_TR.UTF-8", HOME: copy },
    maxBuffer: 2 ** 24,
  });
  assert.equal(run.stderr.toString(), "");
  assert.ok(run.stdout.equals(buildProgram(ROOT)));
});

test("the enclave's program has every module once and names no place of this machine", () => {
  const text = new TextDecoder().decode(buildProgram(ROOT));
  const names = [...text.matchAll(/^ {2}"([^"]+)": "/gm)].map(([, name]) => name!);
  assert.ok(names.includes("src/enclave/main.ts") && names.includes("node_modules/cborg/cborg.js"));
  assert.deepEqual(names, [...new Set(names)].sort());
  for (const other of ["src/server/", "src/device/", "src/cli/"])
    assert.ok(!names.some((name) => name.startsWith(other)));
  assert.ok(!text.includes(ROOT));
});

test("a change of one module changes the program", (context) => {
  const copy = folderOf(context);
  cpSync(join(ROOT, "src"), join(copy, "src"), { recursive: true });
  cpSync(join(ROOT, "node_modules", "cborg"), join(copy, "node_modules", "cborg"), { recursive: true });
  const path = join(copy, "src", "enclave", "chain.ts");
  writeFileSync(path, readFileSync(path, "utf8").replace("this.#sequence += 1", "this.#sequence += 2"));
  assert.ok(!Buffer.from(buildProgram(copy)).equals(buildProgram(ROOT)));
});

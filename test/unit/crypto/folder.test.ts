import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeFolder } from "../../../src/crypto/folder.ts";
import { temporaryFolder } from "../../support/folder.ts";

const refused = (code: string) => (error: NodeJS.ErrnoException) => error.code === code;

describe("a folder that is made", () => {
  it("is made with those above it, which are told topmost first, in the mode that is asked", () => {
    const folder = temporaryFolder();
    const [a, b] = [join(folder, "a"), join(folder, "a", "b")];
    assert.deepEqual(makeFolder(b, 0o700), [a, b]);
    for (const path of [a, b]) assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.deepEqual(makeFolder(`${b}/c/`), [`${b}/c/`]);
    assert.deepEqual(makeFolder(`${a}/d/../e`), [`${a}/d`, `${a}/d/../e`]);
  });

  it("stays where it is there already, behind a link too", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "there"));
    symlinkSync("there", join(folder, "link"));
    assert.deepEqual(makeFolder(join(folder, "there")), []);
    assert.deepEqual(makeFolder(join(folder, "link")), []);
    assert.deepEqual(makeFolder("/"), []);
  });

  it("is there for all processes that make it at once", async () => {
    const module = new URL("../../../src/crypto/folder.ts", import.meta.url).href;
    const work = `import { makeFolder } from ${JSON.stringify(module)};
      while (Date.now() < Number(process.argv[2]));
      for (let i = 0; i < 1000; i++) makeFolder(process.argv[1] + "/" + i + "/a/b/c");`;
    const args = ["--input-type=module", "--eval", work, temporaryFolder(), String(Date.now() + 500)];
    const children = Array.from({ length: 4 }, () => spawn(process.execPath, args, { stdio: "inherit" }));
    const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0]));
    assert.deepEqual(codes, [0, 0, 0, 0]);
  });

  it("is refused by the first error, also where a folder that is there says that it is not", () => {
    const folder = temporaryFolder();
    const file = join(folder, "file");
    writeFileSync(file, "");
    symlinkSync("nowhere", join(folder, "dangling"));
    symlinkSync("circle", join(folder, "circle"));
    assert.throws(() => makeFolder(file), refused("EEXIST"));
    assert.throws(() => makeFolder(join(file, "a")), refused("ENOTDIR"));
    assert.throws(() => makeFolder(join(folder, "dangling", "a")), refused("EEXIST"));
    assert.throws(() => makeFolder(join(folder, "circle", "a")), refused("ELOOP"));
    assert.throws(() => makeFolder(""), refused("ENOENT"));
    for (const path of ["/proc/x", "/proc/x/y/z"]) assert.throws(() => makeFolder(path), refused("ENOENT"));
  });
});

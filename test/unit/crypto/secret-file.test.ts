import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkSecretPlace, readSecretFile, writeSecretFile } from "../../../src/crypto/secret-file.ts";
import { folderOf } from "../../support/folder.ts";
import { hex } from "./hex.ts";

const contents = Uint8Array.from({ length: 5000 }, (_, i) => i & 255);
const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("a secret file has mode 0600 whatever the umask, and reads back", (context) => {
  const path = join(folderOf(context), "key");
  const umask = process.umask(0);
  try {
    writeSecretFile(path, contents);
  } finally {
    process.umask(umask);
  }
  assert.equal(modeOf(path), 0o600);
  assert.equal(hex(readSecretFile(path)!), hex(contents));
  assert.deepEqual(readdirSync(dirname(path)), ["key"]);
});

test("what stands beside a secret file stays: another's file, and a link that waits for us", (context) => {
  const folder = folderOf(context);
  const path = join(folder, "key");
  writeFileSync(`${path}.new`, "another's");
  symlinkSync(join(folder, "elsewhere"), `${path}.0.new`);
  writeSecretFile(path, contents);
  checkSecretPlace(path);
  assert.equal(readFileSync(`${path}.new`, "utf8"), "another's");
  assert.equal(existsSync(join(folder, "elsewhere")), false);
  assert.deepEqual(readdirSync(folder).sort(), ["key", "key.0.new", "key.new"]);
});

test("a secret file that is not there is undefined, and one whose folder is not there is not written", (context) => {
  const folder = folderOf(context);
  assert.equal(readSecretFile(join(folder, "none")), undefined);
  assert.throws(() => writeSecretFile(join(folder, "no", "key"), contents), { code: "ENOENT" });
});

test("a secret file that its group or others may touch in any way is refused, and its mode named", (context) => {
  const path = join(folderOf(context), "key");
  writeSecretFile(path, contents);
  for (const mode of [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777]) {
    chmodSync(path, mode);
    const message = new RegExp(`expected mode 0600 on .*, got 0${mode.toString(8)}$`);
    assert.throws(() => readSecretFile(path), { code: "keystore.permissions", message });
  }
  chmodSync(path, 0o400);
  assert.equal(readSecretFile(path)!.length, contents.length);
});

test("a link in the place of a secret file is refused, also one to a good file", (context) => {
  const folder = folderOf(context);
  writeSecretFile(join(folder, "key"), contents);
  symlinkSync(join(folder, "key"), join(folder, "link"));
  symlinkSync(join(folder, "gone"), join(folder, "dangling"));
  for (const name of ["link", "dangling"]) {
    assert.throws(() => readSecretFile(join(folder, name)), { code: "keystore.malformed" }, name);
  }
});

test("a secret file takes the place of a link instead of writing through it", (context) => {
  const folder = folderOf(context);
  writeFileSync(join(folder, "target"), "untouched", { mode: 0o600 });
  symlinkSync(join(folder, "target"), join(folder, "key"));
  writeSecretFile(join(folder, "key"), contents);
  assert.equal(readFileSync(join(folder, "target"), "utf8"), "untouched");
  assert.equal(hex(readSecretFile(join(folder, "key"))!), hex(contents));
});

test("a secret file of more than 1 MiB and a folder in its place are refused with a code", (context) => {
  const folder = folderOf(context);
  const path = join(folder, "key");
  writeSecretFile(path, contents);
  truncateSync(path, 2 ** 20);
  assert.equal(readSecretFile(path)!.length, 2 ** 20);
  truncateSync(path, 2 ** 20 + 1);
  assert.throws(() => readSecretFile(path), { code: "keystore.malformed" });
  mkdirSync(join(folder, "folder"), { mode: 0o700 });
  assert.throws(() => readSecretFile(join(folder, "folder")), { code: "keystore.malformed" });
});

test("a secret file is whole or the one before: a write that stops short leaves the old one alone", (context) => {
  const path = join(folderOf(context), "key");
  writeSecretFile(path, Uint8Array.of(1, 2, 3));
  const module = new URL("../../../src/crypto/secret-file.ts", import.meta.url).href;
  const program = `import { writeSecretFile } from ${JSON.stringify(module)};
    process.on("SIGXFSZ", () => {});
    try { writeSecretFile(process.argv[1], new Uint8Array(5000)); }
    catch (error) { process.exit(error.code === "store.full" ? 7 : 8); }`;
  // Files of this process may grow to one block: the first write stops there without an error, the second has none.
  const limited = ["-c", 'ulimit -f 1; exec "$@"', "sh", process.execPath, "--input-type=module-typescript", "-e"];
  const { status, stderr } = spawnSync("sh", [...limited, program, path], { encoding: "utf8" });
  assert.equal(status, 7, stderr);
  assert.equal(hex(readSecretFile(path)!), "010203");
  assert.deepEqual(readdirSync(dirname(path)), ["key"]);
});

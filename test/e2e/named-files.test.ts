// Files and folders that people name: one that cannot be read, written or made is refused in one line that names it,
// and nothing waits for an end that does not come.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { toHex } from "../../src/core/bytes.ts";
import { formatVkey, noteKey } from "../../src/wire/note.ts";
import { eachOf } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { assertRefused, type Refusal } from "../support/refused-call.ts";

const KEY = formatVkey(noteKey(`qflare/${toHex(new Uint8Array(32))}`, "ml-dsa-44", new Uint8Array(1312)));
const MEASURED = /^SHA-256 /;
const HASH = "00".repeat(32);

const folder = temporaryFolder();

before(() => {
  mkdirSync(join(folder, "folder"));
  writeFileSync(join(folder, "file"), "neither this nor that\n");
  symlinkSync("circle", join(folder, "circle"));
});

async function assertAll(refusals: readonly Refusal[]): Promise<void> {
  await eachOf(refusals, 3, async (refusal) => await assertRefused(folder, refusal));
}

describe("a folder that cannot be made", () => {
  const witness = (dir: string): string[] => [
    ...["witness", "--name", "w.example/1", "--log", KEY, "--port", "0"],
    ...["--data-dir", dir],
  ];
  const simulated = ["--rule", "mean", "--devices", "1", "--rounds", "1", "--threads", "1", "--examples", "1"];
  const simulate = (dir: string): string[] => ["simulate", ...simulated, "--out", dir];
  const qkd = (dir: string): string[] => [
    ...["qkd", "simulate", "--server-port", "0", "--device-port", "0"],
    ...["--dir", dir],
  ];
  const serve = (dir: string): string[] => [
    ...["enclave", "serve", "--listen", "127.0.0.1:0", "--server-pin", HASH],
    ...["--data-dir", dir],
  ];

  test("ends every command that is to write there, with its flag and why", async () => {
    await assertAll([
      { args: witness("/proc/x/y"), code: 2, says: /^qflare: --data-dir: \/proc\/x\/y cannot be made \(ENOENT\)$/m },
      { args: witness("file"), code: 2, says: /^qflare: --data-dir: file cannot be made \(EEXIST\)$/m },
      { args: ["server", "--port", "0", "--data-dir", "/proc/x"], code: 2, says: /data-dir: \/proc\/x cannot be made/ },
      { args: ["enclave", "pin", "--data-dir", "/proc/x"], code: 2, says: /data-dir: \/proc\/x cannot be made/ },
      { args: ["enclave", "pin", "--data-dir", ""], code: 2, says: /data-dir: expected a folder, got no name/ },
      { args: ["enclave", "pin", "--data-dir", "file"], code: 2, says: /data-dir: file is no folder/ },
      { args: serve("/proc/x"), code: 2, says: /data-dir: \/proc\/x cannot be made/ },
      { args: qkd("/proc/x"), code: 2, says: /^qflare: --dir: \/proc\/x cannot be made \(ENOENT\)$/m },
      { args: qkd("file"), code: 2, says: /^qflare: --dir: file cannot be made \(EEXIST\)$/m },
      { args: qkd(""), code: 2, says: /^qflare: --dir: expected a folder, got no name$/m },
      { args: simulate("/proc/xx"), code: 2, says: /^qflare: --out: \/proc\/xx cannot be made \(ENOENT\)$/m },
      { args: simulate("file/x"), code: 2, says: /^qflare: --out: file\/x cannot be made \(ENOTDIR\)$/m },
      {
        args: ["device", "run", "--receipts", "/proc/x"],
        code: 2,
        says: /^qflare: --receipts: \/proc\/x cannot be made/,
      },
      { args: simulate(""), code: 2, says: /^qflare: --out: expected a folder, got no name$/m },
    ]);
  });
});

describe("a file that cannot be read", () => {
  const receipt = (path: string): string[] => ["audit", "receipt", path, "--key", KEY];
  const from = (path: string): string[] => ["audit", "verify", "--from", path];
  const verify = (evidence: string, wanted: string): string[] => [
    ...["enclave", "verify", "--evidence", evidence],
    ...["--policy", wanted],
  ];
  const check = (path: string): string[] => ["enclave", "measure", "--release-key", HASH, "--check", path];

  test("is refused with the flag that names it", async () => {
    await assertAll([
      { args: receipt("missing"), code: 2, says: /^qflare: receipt: there is no missing$/m },
      { args: receipt("folder"), code: 2, says: /^qflare: receipt: folder is no file$/m },
      { args: receipt("circle"), code: 2, says: /^qflare: receipt: circle cannot be read \(ELOOP\)$/m },
      { args: receipt("/dev/zero"), code: 2, says: /^qflare: receipt: expected at most \d+ bytes, got more$/m },
      { args: from("missing"), code: 2, says: /^qflare: --from: there is no missing$/m },
      { args: from("folder"), code: 2, says: /^qflare: --from: folder is no file$/m },
      { args: verify("circle", "file"), code: 2, says: /^qflare: --policy: file is not JSON with every key once$/m },
      { args: verify("file", "folder"), code: 2, says: /^qflare: --policy: folder is no file$/m },
      { args: verify("file", "circle"), code: 2, says: /^qflare: --policy: circle cannot be read \(ELOOP\)$/m },
      {
        args: ["device", "run", "--witness-policy", "folder"],
        code: 2,
        says: /^qflare: --witness-policy: folder is no/,
      },
      {
        args: ["device", "run", "--csv", "folder", "--label", "x"],
        code: 2,
        says: /^qflare: --csv: folder is no file$/m,
      },
      { args: ["server", "--config", "/dev/zero"], code: 2, says: /^qflare: \/dev\/zero: it cannot be read$/m },
      { args: ["qkd", "status", "--link", "missing"], code: 2, says: /^qflare: --link: there is no missing$/m },
      {
        args: ["qkd", "status", "--link", "/dev/zero"],
        code: 2,
        says: /^qflare: --link: expected at most \d+ bytes, got more$/m,
      },
      {
        args: ["qkd", "status", "--link", "file"],
        code: 2,
        says: /^qflare: .*file: it is not JSON with every key once$/m,
      },
      {
        args: ["audit", "verify", "--url", "https://127.0.0.1:1", "--key", KEY, "--witness-policy", "missing"],
        code: 2,
        says: /^qflare: --witness-policy: there is no missing$/m,
      },
      {
        args: ["enclave", "measure", "--program", "/dev/zero"],
        code: 2,
        says: /^qflare: --program: expected at most \d+ bytes, got more$/m,
      },
      {
        args: check("/dev/zero"),
        code: 2,
        says: /^qflare: --check: expected at most \d+ bytes, got more$/m,
        prints: MEASURED,
      },
    ]);
  });

  test("is bounded where it has no end of its own, and taken where it is short", async () => {
    const pipe = join(folder, "pipe");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    const refused = assertRefused(folder, {
      args: verify("file", "pipe"),
      code: 2,
      says: /^qflare: --policy: expected at most 1048576 bytes, got more$/m,
    });
    // Killed by the pipe when nobody reads on.
    spawn("sh", ["-c", "yes > pipe"], { cwd: folder });
    await refused;
    const taken = assertRefused(folder, {
      args: verify("file", "pipe"),
      code: 2,
      says: /^qflare: --evidence: file is not/,
    });
    spawn("sh", ["-c", "echo '{}' > pipe"], { cwd: folder });
    await taken;
  });
});

describe("a file that holds what does not print", () => {
  test("is not echoed to the terminal, nor at length", async () => {
    const control = "\u001b]0;x\u0007\u009b2J";
    writeFileSync(join(folder, "policy"), `${control}${"x".repeat(100_000)}\n`);
    writeFileSync(join(folder, "link"), control);
    const verify = ["audit", "verify", "--url", "https://127.0.0.1:1", "--key", KEY];
    await assertAll([
      {
        args: [...verify, "--witness-policy", "policy"],
        code: 2,
        says: /line 1: .*, got \\u\{1b\}[\x20-\x7e]{1,80}\n$/,
      },
      { args: ["qkd", "status", "--link", "link"], code: 2, says: /^[\x20-\x7e]{1,80}\n$/ },
      {
        args: ["audit", "receipt", control, "--key", KEY],
        code: 2,
        says: /^qflare: receipt: there is no \\u\{1b\}\]0;x/,
      },
    ]);
  });
});

describe("a file that cannot be written", () => {
  const sign = (key: string, out: string): string[] => ["enclave", "measure", "--sign", key, "--out", out];

  test("is refused with the flag that names it", async () => {
    await assertAll([
      {
        args: sign("rk", "none/x"),
        code: 2,
        says: /^qflare: --out: none\/x cannot be written \(ENOENT\)$/m,
        prints: MEASURED,
      },
      {
        args: sign("rk", "folder"),
        code: 2,
        says: /^qflare: --out: folder cannot be written \(EISDIR\)$/m,
        prints: MEASURED,
      },
      {
        args: sign("none/rk", "x"),
        code: 2,
        says: /^qflare: --sign: none\/rk cannot be written \(ENOENT\)$/m,
        prints: MEASURED,
      },
    ]);
  });

  test("keeps nothing of a simulation whose folder takes none", async () => {
    mkdirSync(join(folder, "taken", "plan.json"), { recursive: true });
    const args = ["simulate", "--rule", "mean", "--devices", "1", "--rounds", "1", "--out", "taken"];
    await assertRefused(folder, {
      args,
      code: 1,
      says: /^qflare: Cannot use stored data now: taken\/plan.json \(EISDIR\)$/m,
    });
  });
});

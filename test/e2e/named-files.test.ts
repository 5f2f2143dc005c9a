// Files and folders that people name: one that cannot be read, written or made is refused in one line that names it,
// and nothing waits for an end that does not come.

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { toHex } from "../../src/core/bytes.ts";
import { formatVkey, noteKey } from "../../src/wire/note.ts";
import { eachOf } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { assertRefused, type Refusal } from "../support/refused-call.ts";

const KEY = formatVkey(noteKey(`qflare/${toHex(new Uint8Array(32))}`, "ml-dsa-44", new Uint8Array(1312)));
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
  const simulated = ["--devices", "1", "--rounds", "1", "--threads", "1", "--examples", "1"];
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

// From a release of the enclave's program to the next, by the command line alone: nobody compares a digest by hand.

import assert from "node:assert/strict";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type JsonLine, PROGRAM, ROOT, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { TestRun } from "../support/run.ts";

const ROUNDS = ["--rounds", "100000", "--target", "2", "--quorum", "2", "--selection-time", "1s"];
const CHANGED = "src/enclave/main.ts";

/** Another build: its enclave has another program. */
function nextVersion(): string {
  const root = temporaryFolder();
  for (const part of ["bin", "src", "package.json"]) cpSync(join(ROOT, part), join(root, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, CHANGED), `// Of the next release.\n${readFileSync(join(ROOT, CHANGED), "utf8")}`);
  return join(root, "bin", "qflare.js");
}

async function call(run: TestRun, args: readonly string[], program = PROGRAM): Promise<JsonLine> {
  const { code, stdout, stderr } = await runCli([...args, "--json"], { cwd: run.folder, program });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as JsonLine;
}

test("a device pins a release key, trains for its releases alone, and follows to the announced next one", async (t) => {
  const run = TestRun.prepare(t, ...ROUNDS);
  const next = nextVersion();
  const sign = async (key: string, out: string, program?: string): Promise<string> =>
    (await call(run, ["enclave", "measure", "--sign", key, "--out", out], program)).release_key as string;
  const [key, otherKey] = await Promise.all([sign("release.key", "first.json"), sign("other.key", "other.json")]);
  const [again] = await Promise.all([sign("release.key", "second.json", next), run.startServer()]);
  assert.equal(again, key);
  const pins = (file: string, name = key): string[] => ["--release-key", name, "--reference-values", file];
  const read = (file: string) => JSON.parse(readFileSync(join(run.folder, file), "utf8")) as Record<string, string>;
  const second = read("second.json");
  writeFileSync(join(run.folder, "tampered.json"), JSON.stringify({ ...read("first.json"), signed: second.signed }));

  const token = await run.token("pinned");
  const announce = ["enclave", "announce", "--release-key", key, "--data-dir", run.dataDir, "--reference"];
  const refused = await Promise.all([
    run.startDevice("pinned", 1, token, ...pins("tampered.json")).ending(),
    run.start([...announce, "tampered.json"]).ending(),
  ]);
  for (const { code, stderr } of refused) {
    assert.equal(code, 1);
    assert.match(stderr, /reference values: their signature is not by the release key/);
  }

  const pinned = run.startDevice("pinned", 1, token, ...pins("first.json"));
  const devices = [pinned, run.startDevice("plain", 2, await run.token("plain"))];
  await Promise.all(devices.map((device) => device.event("submitted")));

  await run.server.kill();
  const early = await run.start(run.server.args, next).ending();
  assert.equal(early.code, 1);
  assert.match(early.stderr, /expected program \w{64} or one that the audit log announces, got \w{64}/);

  await run.startServer();
  assert.equal((await call(run, [...announce, "second.json"])).program, second.program);
  await run.server.kill();
  await run.startServer(next);
  for (const device of devices) {
    const checked = await device.line(({ event, epoch }) => event === "enclave" && epoch === 2, "the next epoch");
    assert.equal(checked.replaced, false);
    await device.event("submitted", device.lines.indexOf(checked));
  }

  const others = pins("other.json", otherKey);
  const stranger = await run.startDevice("stranger", 3, await run.token("stranger"), ...others).ending();
  assert.equal(stranger.code, 1);
  assert.match(stranger.stderr, /reference values: their signature is not by the release key/);
  await run.server.kill();
  assert.equal((await call(run, ["audit", "verify", "--data-dir", run.dataDir])).ok, true);
});

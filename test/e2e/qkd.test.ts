// Quantum keys from the command line: two KMEs, a server and a device, each a process with its own link file.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Cli, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { TestRun } from "../support/run.ts";

async function startSites(t: TestContext): Promise<string> {
  const dir = join(temporaryFolder(), "qkd");
  const ports = ["--server-port", "0", "--device-port", "0"];
  const sites = new Cli(["qkd", "simulate", "--json", "--dir", dir, ...ports, "--devices", "ward-1"]);
  t.after(() => sites.kill());
  await sites.event("simulating");
  return dir;
}

test("server and device that require a quantum key share it; a device without is refused", async (t) => {
  const dir = await startSites(t);
  const run = await TestRun.open(t, "--qkd", "require", "--qkd-link", join(dir, "server.json"));
  const qkd = ["--qkd", "require", "--qkd-link", join(dir, "ward-1.json")];
  const device = ["--keystore", run.keystoreOf("ward-1"), "--json"];
  const token = ["--token", await run.token("ward-1")];
  assert.equal((await runCli(["device", "enroll", ...device, ...token, ...qkd])).code, 0);
  const known = await runCli(["device", "status", ...device, ...qkd]);
  assert.equal(known.code, 0, known.stderr);
  assert.match(known.stdout, /"connected":true,"psk":true/);
  const without = await runCli(["device", "status", ...device]);
  assert.equal(without.code, 1);
  assert.match(without.stderr, /Cannot agree on a key held beforehand/);
  const half = await runCli(["device", "status", ...device, "--qkd", "require"]);
  assert.equal(half.code, 2);
});

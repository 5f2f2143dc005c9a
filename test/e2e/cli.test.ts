// The command line as it works: help, JSON lines, exit codes, a run over a table from tokens to the exported model, and
// what Ctrl-C leaves.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { loadTraining } from "../../src/cli/data.ts";
import { evaluate } from "../../src/learning/evaluate.ts";
import { decodeModel } from "../../src/learning/model-file.ts";
import { Network } from "../../src/learning/network.ts";
import { Cli, descendants, eachOf, eventually, isRunning, type JsonLine, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { readStored } from "../support/outcome.ts";
import { TestRun } from "../support/run.ts";

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bench: ["crypto"],
  demo: [],
  server: ["rotate"],
  token: ["create", "list", "revoke", "cleanup"],
  device: ["enroll", "run", "status", "rekey", "list", "revoke"],
  model: ["export"],
  audit: ["verify", "keys", "receipt", "anchor"],
  doctor: [],
  enclave: ["measure", "announce", "verify", "collateral", "serve", "pin"],
  simulate: [],
  qkd: ["simulate", "status"],
  witness: [],
};

const WITH_WORK_OF_THEIR_OWN: readonly string[] = ["server"];

/** Names that a help page lists as commands. */
function listed(help: string): string[] {
  const section = help.split("\nCommands:\n")[1]?.split("\n\n")[0] ?? "";
  const names = [...section.matchAll(/^ {2}(\w+)/gm)].map((match) => match[1]);
  return names.filter((name) => name !== "help");
}

/** Every line of standard output must be a JSON object. */
function jsonLines(stdout: string): JsonLine[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonLine);
}

describe("help", () => {
  test("of every command has an example and ends with 0", async () => {
    const root = await runCli(["--help"]);
    assert.deepEqual(listed(root.stdout).sort(), Object.keys(COMMANDS).sort());
    assert.match(root.stdout, /Exit code: 0 done, 1 failed, 2 used wrongly/);
    const groups = Object.entries(COMMANDS).filter(([, inner]) => inner.length > 0);
    await eachOf(groups, 2, async ([name, inner]) => {
      assert.deepEqual(listed((await runCli([name, "--help"])).stdout), inner);
    });
    const leaves = Object.entries(COMMANDS).flatMap(([name, inner]) => {
      const alone = inner.length === 0 || WITH_WORK_OF_THEIR_OWN.includes(name) ? [[name]] : [];
      return [...alone, ...inner.map((one) => [name, one])];
    });
    await eachOf(leaves, 2, async (words) => {
      const { code, stdout, stderr } = await runCli([...words, "--help"]);
      assert.equal(code, 0);
      assert.ok(stdout.includes(`\nExample:\n  qflare ${words.join(" ")}`), words.join(" "));
      assert.match(stdout, /--json/);
      assert.equal(stderr, "");
    });
  });

  test("comes with a version", async () => {
    const { code, stdout } = await runCli(["--version"]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe("a run from the command line", () => {
  test("goes from tokens over a table to an exported model, in JSON lines", async (t) => {
    const run = await TestRun.open(t, "--rounds", "3", "--target", "3", "--quorum", "3");
    const at = ["--data-dir", run.dataDir, "--json"];
    const call = async (...args: string[]): Promise<JsonLine[]> => {
      const { code, stdout, stderr } = await runCli(args, { cwd: run.folder });
      assert.equal(code, 0, stderr);
      return jsonLines(stdout);
    };
    const [made] = await call("token", "create", "--name", "a", ...at);
    assert.deepEqual(Object.keys(made), ["token", "token_id", "name", "expires_at"]);
    const [spare] = await call("token", "create", "--name", "spare", ...at);
    const [revoked] = await call("token", "revoke", spare.token_id as string, ...at);
    assert.equal(revoked.state, "revoked");
    const keystore = run.keystoreOf("a");
    const [enrolled] = await call(
      "device",
      "enroll",
      "--token",
      made.token as string,
      "--keystore",
      keystore,
      "--json",
    );
    assert.equal(enrolled.event, "enrolled");
    const [status] = await call("device", "status", "--keystore", keystore, "--json");
    assert.equal(status.connected, true);
    assert.deepEqual(
      (await call("token", "list", ...at)).map((line) => [line.name, line.state]),
      [
        ["a", "used"],
        ["spare", "revoked"],
      ],
    );
    assert.deepEqual(await call("token", "cleanup", ...at), [{ removed: 0 }]);
    const findings = await call("doctor", ...at);
    assert.equal(findings.at(-1)!.ok, true);
    const devices = [run.startDevice("a", 1), await run.enrolDevice("b", 2), await run.enrolDevice("c", 3)];
    await run.server.event("run.finished");
    for (const device of devices) assert.equal((await device.ending()).code, 0);
    const [audit] = await call("audit", "verify", ...at);
    assert.deepEqual([audit.ok, audit.updates, audit.models], [true, 9, 4]);
    const out = join(run.folder, "model.safetensors");
    const [exported] = await call("model", "export", ...at, "--out", out);
    assert.equal(exported.round, 3);
    const table = loadTraining({ csv: run.table, label: "kind" });
    const accuracyOf = (file: Uint8Array): number => {
      const { description, parameters } = decodeModel(file);
      return evaluate(new Network(description), parameters, table).accuracy;
    };
    const stored = (await readStored(run.dataDir)).models;
    assert.equal(accuracyOf(readFileSync(out)), accuracyOf(stored.get(3)!));
    assert.ok(accuracyOf(stored.get(3)!) > 0.8 && accuracyOf(stored.get(3)!) > accuracyOf(stored.get(0)!));
  });
});

describe("Ctrl-C", { concurrency: 2 }, () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`ends server and device with 0, and nothing is left (${signal})`, async (t) => {
      const run = await TestRun.open(t);
      const device = await run.enrolDevice("a", 1);
      await device.event("session");
      const enclave = await run.enclavePid();
      device.signal(signal);
      assert.deepEqual(await device.ending().then(({ code, stderr }) => [code, stderr]), [0, ""]);
      run.server.signal(signal);
      assert.deepEqual(await run.server.ending().then(({ code, stderr }) => [code, stderr]), [0, ""]);
      await eventually(() => !isRunning(enclave) || undefined, "the enclave to end");
    });
  }

  test("in a terminal reaches server and enclave together, and the server still ends with 0", async (t) => {
    const data = ["--data-dir", join(temporaryFolder(), "data"), "--port", "0"];
    const server = new Cli(["server", "--json", "--log-level", "error", ...data], { isGroup: true });
    t.after(() => server.hasEnded || process.kill(-server.pid, "SIGKILL"));
    await server.event("listening");
    const children = descendants(server.pid);
    // The enclave, and the sandbox around it where the host has one.
    assert.ok(children.length === 1 || children.length === 2);
    process.kill(-server.pid, "SIGINT");
    assert.deepEqual(await server.ending().then(({ code, stderr }) => [code, stderr]), [0, ""]);
    await eventually(() => children.every((pid) => !isRunning(pid)) || undefined, "its children to end");
  });

  for (const moment of ["started", "devices", "round"]) {
    test(`ends a demo after its event "${moment}" with 1, one line, and no process left`, async (t) => {
      const flags = ["--devices", "3", "--rounds", "100000", "--data-dir", join(temporaryFolder(), "data")];
      const demo = new Cli(["demo", "--json", ...flags], { isGroup: true });
      t.after(() => demo.hasEnded || process.kill(-demo.pid, "SIGKILL"));
      await demo.event(moment);
      const children = descendants(demo.pid);
      assert.ok(children.length >= 2);
      process.kill(-demo.pid, "SIGINT");
      const { code, stderr } = await demo.ending();
      assert.equal(code, 1);
      assert.match(stderr, /^qflare: [^\n]+\n$/);
      await eventually(() => children.every((pid) => !isRunning(pid)) || undefined, "its children to end");
    });
  }
});

// What is at the other ends of a command's streams: readers that leave, a disk that is full, a parent that is killed.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, type TestContext, test } from "node:test";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { Cli, cleanEnvironment, eventually, isRunning, PROGRAM, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { TestRun } from "../support/run.ts";

function start(context: TestContext, folder: string, args: readonly string[], stdin: "ignore" | "pipe"): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder,
    env: cleanEnvironment(),
    stdio: [stdin, "pipe", "pipe"],
  });
  context.after(() => child.kill("SIGKILL"));
  return child;
}

async function ending(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, "exit");
  return child.exitCode;
}

const SERVER = ["server", "--json", "--port", "0", "--data-dir", "data", "--model", "softmax", "--inputs", "2"];

/** All that the process and the world see of its command line. */
function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8");
}

describe("the streams of a command", () => {
  test("may be closed by who reads them, and a server serves on", async (context) => {
    const folder = temporaryFolder();
    const child = start(context, folder, [...SERVER, "--log-level", "debug"], "ignore");
    await once(createInterface({ input: child.stdout! }), "line");
    child.stdout!.destroy();
    child.stderr!.destroy();
    const admin = await AdminClient.connect(join(folder, "data"));
    for (const name of ["a", "b", "c"]) await admin.call("token.create", { name, age_ms: 60_000 });
    const { enclave_pid } = await admin.call<{ enclave_pid: number }>("status");
    // Something for the log, which nobody reads any more.
    process.kill(enclave_pid, "SIGKILL");
    await admin.call("stop");
    admin.close();
    assert.equal(await ending(child), 0);
  });

  test("print no trace where a reader takes the first line alone", () => {
    const line = `"${process.execPath}" "${PROGRAM}" doctor --json | head -n 1`;
    const out = execFileSync("sh", ["-c", `{ ${line}; } 2>&1`], { encoding: "utf8", env: cleanEnvironment() });
    assert.equal(out.trimEnd().split("\n").length, 1);
    assert.equal((JSON.parse(out) as { event: string }).event, "finding");
  });

  test("fail a command whose output finds no space", { skip: !existsSync("/dev/full") && "no /dev/full here" }, () => {
    const line = `"${process.execPath}" "${PROGRAM}" doctor --json 2>&1 > /dev/full; echo $?`;
    const out = execFileSync("sh", ["-c", line], { encoding: "utf8", env: cleanEnvironment() });
    assert.match(out, /^qflare: standard output: ENOSPC.*\n1\n$/);
  });
});

describe("an enrolment token", () => {
  test("is taken from a file or from standard input, whose rest may stay unread", async (context) => {
    const run = await TestRun.open(context);
    const at = ["--data-dir", run.dataDir];
    const made = await runCli(["token", "create", "--name", "a", "--out", "a.token", ...at], { cwd: run.folder });
    assert.equal(made.code, 0, made.stderr);
    assert.doesNotMatch(made.stdout + made.stderr, /qflare1_/);
    assert.equal(statSync(join(run.folder, "a.token")).mode & 0o777, 0o600);
    const fromFile = ["device", "enroll", "--token-file", "a.token", "--keystore", "a.key"];
    const enrolled = await runCli(fromFile, { cwd: run.folder });
    assert.equal(enrolled.code, 0, enrolled.stderr);
    const piped = start(context, run.folder, ["device", "enroll", "--token", "-", "--keystore", "b.key"], "pipe");
    piped.stdin!.write(`${await run.token("b")}\nmore that nobody reads\n`);
    assert.equal(await ending(piped), 0);
    assert.ok(existsSync(join(run.folder, "b.key")));
  });
});

describe("a demonstration", () => {
  test("ends where its server does not start, though it would have held its input open", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "data"), "a file");
    const { code, stderr } = await runCli(["demo", "--rounds", "1", "--data-dir", "data"], { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /^qflare: .*the server did not start: qflare: .*data is no folder\n$/);
  });

  test("takes nothing from around it, shows no token, and leaves no process behind when it is killed", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "qflare.toml"), 'rounds = "many"\nmodel = "none"\n');
    const env = cleanEnvironment({ QFLARE_TARGET: "1", QFLARE_PORT: "none", QFLARE_UPDATES_MIN: "77" });
    const demo = new Cli(["demo", "--json", "--rounds", "1000", "--devices", "2"], { cwd: folder, env });
    await demo.event("round");
    const children = execFileSync("pgrep", ["-P", String(demo.pid)], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
    assert.equal(children.length, 3);
    for (const pid of children) assert.doesNotMatch(commandLine(pid), /qflare1_/);
    await demo.kill();
    await eventually(() => !children.some(isRunning) || undefined, "the end of server and devices");
  });
});

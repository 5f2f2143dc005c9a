// A server that has its keys and rewrites its log: devices that have seen the old one refuse it, and witnesses keep it
// from those who have not.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { remoteLog } from "../../src/cli/log-source.ts";
import type { Device } from "../../src/device/device.ts";
import type { Round } from "../../src/device/round.ts";
import { runCli } from "../support/cli.ts";
import { coded } from "../support/errors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { rewriteFolder } from "../support/forger.ts";
import { TestRun } from "../support/run.ts";

const FLAGS = ["--rounds", "3", "--target", "2", "--quorum", "2"];
const WITNESS_CHECKS = 5;

class Rounds {
  readonly #all: AsyncGenerator<Round>[];

  constructor(devices: readonly Device[]) {
    this.#all = devices.map((device) => device.rounds());
  }

  async next(): Promise<Round[]> {
    const results = await Promise.all(this.#all.map((rounds) => rounds.next()));
    return results.map(({ value }) => value as Round);
  }

  async play(): Promise<void> {
    const rounds = await this.next();
    await Promise.all(rounds.map((round) => round.submit(new Float32Array(round.parameters.length), 10)));
  }
}

async function remoteCheckpoint(run: TestRun): Promise<string | undefined> {
  const log = remoteLog(`https://127.0.0.1:${run.port}`);
  try {
    return await log.checkpoint();
  } finally {
    log.close();
  }
}

/** A witness process that knows the run's log and its next key; its policy goes where server and devices read it. */
async function startWitness(run: TestRun, policyPath: string): Promise<void> {
  const { stdout } = await runCli(["audit", "keys", "--type", "ml-dsa-44", "--data-dir", run.dataDir]);
  const logKeys = stdout.trim().split("\n");
  const folder = ["--data-dir", join(run.folder, "witness"), "--name", "witness.example/one"];
  const witness = run.start(["witness", "--json", ...folder, "--port", "0", "--log", ...logKeys]);
  const { url, vkeys } = await witness.event("listening");
  writeFileSync(policyPath, `witness one ${(vkeys as string[])[1]} ${url as string}\nquorum one\n`);
}

async function inForce(run: TestRun, type: string): Promise<string | undefined> {
  const { stdout } = await runCli(["audit", "keys", "--json", "--type", type, "--data-dir", run.dataDir]);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { state: string; vkey: string });
  return lines.find(({ state }) => state === "in_force")?.vkey;
}

/** Until the checkpoint carries a witness's line. */
async function cosigned(run: TestRun): Promise<string> {
  for (;;) {
    const note = await remoteCheckpoint(run).catch(() => undefined);
    if (note?.includes("witness.example/one")) return note;
    await sleep(50);
  }
}

describe("a server that rotates its identity", () => {
  it("keeps its witnesses and devices, and its log verifies from the first key on", async (t: TestContext) => {
    const policyPath = join(temporaryFolder(), "policy");
    writeFileSync(policyPath, "quorum none\n");
    const run = await TestRun.open(t, ...FLAGS, "--witness-policy", policyPath);
    const { stdout } = await runCli(["audit", "keys", "--type", "ml-dsa-44", "--data-dir", run.dataDir]);
    const [first] = stdout.split("\n");
    await startWitness(run, policyPath);
    await run.restartServer();
    const policy = { witnessPolicy: readFileSync(policyPath, "utf8") };
    const ignore = (): void => undefined;
    const devices = [await run.heldDevice("a", ignore, policy), await run.heldDevice("b", ignore, policy)];
    const rounds = new Rounds(devices);
    await rounds.play();
    await (await run.admin()).call("server.rotate");
    await rounds.play();
    await cosigned(run);
    const url = ["--url", `https://127.0.0.1:${run.port}`, "--witness-policy", policyPath];
    const kept = ["--from", `${run.keystoreOf("a")}.log`];
    for (const pinned of [
      ["--key", first],
      ["--key", first, "--key", (await inForce(run, "ed25519"))!],
      ["--keystore", run.keystoreOf("b")],
    ]) {
      const verified = await runCli(["audit", "verify", ...url, ...pinned, ...kept]);
      assert.equal(verified.code, 0, verified.stderr);
    }
  });
});

describe("a server that rewrites its log and signs it anew", () => {
  it("is refused by the devices that have seen the old one", async (t: TestContext) => {
    const run = await TestRun.open(t, ...FLAGS);
    const rounds = new Rounds([await run.heldDevice("a"), await run.heldDevice("b")]);
    await rounds.play();
    await run.server.kill();
    await rewriteFolder(run.dataDir);
    const audit = await runCli(["audit", "verify", "--data-dir", run.dataDir, "--from", `${run.keystoreOf("a")}.log`]);
    assert.equal(audit.code, 1);
    assert.match(audit.stderr, /earlier checkpoint 1 has another root than the log: its history was rewritten/);
    await run.startServer();
    await assert.rejects(rounds.next(), coded("log.fork"));
  });

  it("gets no witness to cosign it, so devices that want one get no log at all", async (t: TestContext) => {
    const policyPath = join(temporaryFolder(), "policy");
    writeFileSync(policyPath, "quorum none\n");
    const run = await TestRun.open(t, ...FLAGS, "--witness-policy", policyPath);
    await startWitness(run, policyPath);
    await run.restartServer();
    const policy = { witnessPolicy: readFileSync(policyPath, "utf8") };
    const ignore = (): void => undefined;
    await cosigned(run);
    const devices = [await run.heldDevice("a", ignore, policy), await run.heldDevice("b", ignore, policy)];
    await new Rounds(devices).play();
    const url = `https://127.0.0.1:${run.port}`;
    const key = ["--keystore", run.keystoreOf("a"), "--witness-policy", policyPath];
    const verified = await runCli(["audit", "verify", "--url", url, ...key]);
    assert.equal(verified.code, 0, verified.stderr);
    await run.server.kill();
    await rewriteFolder(run.dataDir);
    await run.startServer();
    for (let i = 0; i < WITNESS_CHECKS; i++) {
      await assert.rejects(remoteCheckpoint(run), coded("log.witness"));
      await sleep(100);
    }
  });
});

// A server whose enclave runs on another machine, and what may happen between them.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { enclaveRecord } from "../../src/wire/audit.ts";
import { eventually } from "../support/cli.ts";
import { LongRun } from "../support/long-run.ts";
import { CuttingProxy, RemoteEnclave } from "../support/remote.ts";
import { ROUNDS } from "../support/server.ts";

const TWO_ROUNDS = { ...ROUNDS, rounds: 2, target: 2, quorum: 2 };

interface Parts {
  readonly run: LongRun;
  readonly remote: RemoteEnclave;
  readonly proxy: CuttingProxy;
}

async function openRemote(t: TestContext): Promise<Parts> {
  const run = LongRun.prepare(t, { rounds: TWO_ROUNDS });
  const remote = await RemoteEnclave.open(t, run.dataDir);
  const proxy = await CuttingProxy.open(t, remote.port);
  await run.start({ enclave: { address: { host: "127.0.0.1", port: proxy.port }, pin: remote.pin } });
  return { run, remote, proxy };
}

async function operations(run: LongRun): Promise<string[]> {
  const entries = (await run.entries()).filter(({ type }) => type === "enclave.operation");
  return entries.map(({ data }) => enclaveRecord.decode(data).operation);
}

async function assertPlayed({ run }: Parts): Promise<void> {
  await run.server.finished;
  await run.stop();
  assert.deepEqual(await run.rounds(), ["1 published", "2 published"]);
  const { updates, models } = await run.audit();
  assert.deepEqual([updates, models], [4, 3]);
  assert.deepEqual(await run.epochs(), ["enclave epoch 1"]);
}

describe("a remote enclave", { concurrency: 2 }, () => {
  test("shows evidence before it is told of a run, and goes on with another server process", async (t) => {
    const parts = await openRemote(t);
    const { run, remote, proxy } = parts;
    const [a, b] = await run.devices("a", "b");
    const [first, second] = await Promise.all([a!.held.next(), b!.held.next()]);
    await a!.held.submit(first!);
    assert.match((await operations(run)).join(" "), /^open (?:attest )+genesis /);
    await run.stop();
    await run.start({ enclave: { address: { host: "127.0.0.1", port: proxy.port }, pin: remote.pin } });
    await b!.held.submit(second!);
    await Promise.all([a!.held.finish(), b!.held.finish()]);
    await assertPlayed(parts);
  });

  test("finishes the round after it was killed and started again", async (t) => {
    const parts = await openRemote(t);
    const { run, remote } = parts;
    const [a, b] = await run.devices("a", "b");
    const [first, second] = await Promise.all([a!.held.next(), b!.held.next()]);
    await a!.held.submit(first!);
    await remote.kill();
    await b!.held.submit(second!);
    await eventually(() => run.warnings.some((line) => line.startsWith("enclave is not there")), "a try in vain");
    await remote.start();
    await Promise.all([a!.held.finish(), b!.held.finish()]);
    await assertPlayed(parts);
  });

  test("is opened anew where the connection is cut in the middle of a frame", async (t) => {
    const parts = await openRemote(t);
    const { run, proxy } = parts;
    const [a, b] = await run.devices("a", "b");
    const [first, second] = await Promise.all([a!.held.next(), b!.held.next()]);
    // The sealed keys of the call that opens the run are longer than this.
    proxy.cutAfter = 20_000;
    proxy.cutNow();
    await a!.held.submit(first!);
    await b!.held.submit(second!);
    await Promise.all([a!.held.finish(), b!.held.finish()]);
    assert.deepEqual([proxy.cuts, proxy.connections], [1, 3]);
    await assertPlayed(parts);
  });
});

// Rounds that lose what they need, or nearly: a blob, the enclave's keys, a step that another passes. The methods that
// are held up here are those of every server in the process, so one test runs at a time.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readLedger } from "../../src/cli/ledger.ts";
import { toHex } from "../../src/core/bytes.ts";
import { QflareError } from "../../src/core/error.ts";
import { blobDigest } from "../../src/crypto/merkle.ts";
import { EnclaveLink } from "../../src/server/enclave-link.ts";
import { Ledger } from "../../src/server/ledger.ts";
import { OpenRound } from "../../src/server/open-round.ts";
import { BlobStore } from "../../src/server/store/blobs.ts";
import { eventually, isRunning } from "../support/cli.ts";
import { assertRoundEnds, enrollClients, joinRound } from "../support/client.ts";
import { LongRun, type Member } from "../support/long-run.ts";
import { ROUNDS, TestServer } from "../support/server.ts";

const DELTA = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];

after(() => TestServer.closeAll());

const submitNext = async ({ held }: Member): Promise<unknown> => held.submit(await held.next());

/** Once the work is done and the run over; at once where the coordinator fails. */
async function finish(run: LongRun, work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.race([run.server.finished, Promise.all(work).then(() => run.server.finished)]);
  await run.stop();
}

interface Calls {
  /** What happens between the enclave's answer and whoever has asked. */
  behind(operation: string, enclave: EnclaveLink): Promise<void>;
}

/** A run whose server was stopped between the acceptance of all three updates and the call to aggregate them. */
async function stoppedBeforeAggregating(t: TestContext): Promise<{ run: LongRun; members: Member[]; calls: Calls }> {
  const run = await LongRun.open(t, { lostEnclave: "replace" });
  const members = await run.devices("a", "b", "c");
  const works = await Promise.all(members.map(({ held }) => held.next()));
  const calls: Calls = { behind: async () => undefined };
  const { call } = EnclaveLink.prototype;
  let isStopped = false;
  t.mock.method(EnclaveLink.prototype, "call", async function (this: EnclaveLink, ...args: [never, never]) {
    if (args[0] === "aggregate" && !isStopped) throw new QflareError("enclave.unavailable");
    const reply = await call.apply(this, args);
    await calls.behind(args[0], this);
    return reply;
  });
  await Promise.all(members.map(({ held }, i) => held.submit(works[i]!)));
  await eventually(async () => (await run.rounds())[0] === "1 aggregating" || undefined, "round 1 to aggregate");
  await run.stop();
  isStopped = true;
  return { run, members, calls };
}

describe("a run goes on", () => {
  test("where a blob comes again in the round after its own, which is just removing it", async (t) => {
    const server = await TestServer.start({ rounds: { rounds: 2, target: 2, quorum: 2 } });
    const clients = await enrollClients(server, ["honest", "evil"]);
    const [honest, evil] = clients;
    await joinRound(clients);
    const old = await evil!.draft(DELTA);
    const isOld = (digest: Uint8Array): boolean => toHex(digest) === toHex(blobDigest(old.blob));
    const [removing, gate, removed] = [0, 1, 2].map(() => Promise.withResolvers<void>());
    const { remove, read } = BlobStore.prototype;
    t.mock.method(BlobStore.prototype, "remove", async function (this: BlobStore, digest: Uint8Array) {
      if (!isOld(digest)) return await remove.call(this, digest);
      removing!.resolve();
      await gate!.promise;
      await remove.call(this, digest);
      removed!.resolve();
    });
    await Promise.all([honest!.contribute(DELTA), evil!.deliver(old)]);
    await removing!.promise;
    // The coordinator looks for it when the removal is over.
    t.mock.method(BlobStore.prototype, "read", async function (this: BlobStore, digest: Uint8Array) {
      if (isOld(digest)) await removed!.promise;
      return await read.call(this, digest);
    });
    await joinRound(clients, 1);
    const again = evil!.contribute(DELTA, { blob: old.blob });
    await sleep(200);
    gate!.resolve();
    await Promise.all([again, honest!.contribute(DELTA)]);
    await server.finished();
    const { updates } = await server.report(2);
    assert.deepEqual(updates.map(({ reason }) => reason).sort(), ["update.unreadable", null].sort());
    await server.close();
  });

  test("where an accepted update is gone from the disk: its round fails and says why", async (t) => {
    const run = await LongRun.open(t, { rounds: { ...ROUNDS, target: 2, quorum: 2 } });
    const [a, b] = await run.devices("a", "b");
    const [round] = await Promise.all([a!, b!].map(({ held }) => held.next()));
    const { blob_digest } = await a!.held.submit(round!);
    await run.stop();
    const name = toHex(blob_digest);
    rmSync(join(run.dataDir, "blobs", name.slice(0, 2), name));
    await run.start();
    await finish(run, [a!, b!].map(submitNext));
    assert.deepEqual(await run.rounds(), ["1 failed", "2 published"]);
    const { failure } = await readLedger(run.dataDir, (db) =>
      db.selectFrom("rounds").select("failure").where("round", "=", 1).executeTakeFirstOrThrow(),
    );
    assert.equal(failure, `Cannot use stored data: it is damaged: blob ${name} is missing`);
    assert.ok(run.warnings.some((line) => line.startsWith("the round is lost")));
    await run.audit();
  });

  test("where a blob cannot be read while the end of collecting is on its way to disk", async (t) => {
    const server = await TestServer.start();
    const { startAggregating } = Ledger.prototype;
    const { read } = BlobStore.prototype;
    let starts = 0;
    let refused = 0;
    t.mock.method(Ledger.prototype, "startAggregating", async function (this: Ledger, row: never) {
      starts += 1;
      await sleep(400);
      return await startAggregating.call(this, row);
    });
    t.mock.method(BlobStore.prototype, "read", async function (this: BlobStore, digest: Uint8Array) {
      if (starts > 0 && refused++ === 0) throw new QflareError("store.unavailable", "EMFILE");
      return await read.call(this, digest);
    });
    await assertRoundEnds(server);
    assert.equal(starts, 1);
    assert.ok(refused > 0);
    await server.close();
  });

  test("where the enclave loses its keys between two things that it is told of an aggregating round", async (t) => {
    const { run, members, calls } = await stoppedBeforeAggregating(t);
    let isLost = false;
    calls.behind = async (operation, enclave) => {
      if (operation !== "begin" || isLost) return;
      isLost = true;
      rmSync(join(run.dataDir, "enclave", "sealing.key"));
      process.kill(enclave.pid!, "SIGKILL");
      while (enclave.isAlive) await sleep(5);
    };
    await run.start();
    await finish(run, members.map(submitNext));
    assert.ok(isLost);
    assert.deepEqual(await run.rounds(), ["1 failed", "2 published"]);
    assert.ok(run.warnings.some((line) => line.startsWith("the enclave's keys are lost")));
    await run.audit();
  });

  test("where the enclave loses its keys before anybody is told of a round: its model is signed anew", async (t) => {
    const { feedSome } = OpenRound.prototype;
    // Devices see the round before the enclave does.
    t.mock.method(OpenRound.prototype, "feedSome", async function (this: OpenRound) {
      await sleep(300);
      await feedSome.call(this);
    });
    const run = await LongRun.open(t, { lostEnclave: "replace" });
    const [early, ...others] = await run.devices("a", "b", "c");
    // It waits for the others, and the round with it.
    const waiting = early!.held.next();
    const { enclave_pid: pid } = (await run.status()) as { enclave_pid: number };
    rmSync(join(run.dataDir, "enclave", "sealing.key"));
    process.kill(pid, "SIGKILL");
    await eventually(() => !isRunning(pid), "the enclave to be gone");
    const works = [waiting, ...others.map(({ held }) => held.next())];
    const sent = [early!, ...others].map(async ({ held }, i) => await held.submit(await works[i]!));
    await finish(run, sent);
    assert.deepEqual(await run.rounds(), ["1 published"]);
    assert.deepEqual(await run.epochs(), ["enclave epoch 1", "enclave epoch 2"]);
    await run.audit();
  });
});

test("a server that is stopped tells the enclave nothing more of the round that aggregates", async (t) => {
  const { run, calls } = await stoppedBeforeAggregating(t);
  const told: string[] = [];
  calls.behind = async (operation) => {
    told.push(operation);
    if (operation === "begin") void run.server.close();
  };
  await run.start();
  await run.server.finished;
  await run.stop();
  assert.deepEqual(told, ["begin"]);
  assert.deepEqual(await run.rounds(), ["1 aggregating"]);
  calls.behind = async () => undefined;
  await run.start();
  await run.server.finished;
  await run.stop();
  assert.deepEqual(await run.rounds(), ["1 published"]);
});

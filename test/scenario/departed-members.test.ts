// Members of a round whose keys stop counting while it is open: revoked by the operator, or replaced by new ones. The
// method that is held up here is that of every server in the process, so one test runs at a time.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { fromHex } from "../../src/core/bytes.ts";
import { LEDGER_FILE } from "../../src/server/data-folder.ts";
import { Ledger } from "../../src/server/ledger.ts";
import { ModelVault } from "../../src/server/models.ts";
import { openDatabase } from "../../src/server/store/database.ts";
import { eventually, isRunning } from "../support/cli.ts";
import { LongRun, type Member } from "../support/long-run.ts";
import { ROUNDS } from "../support/server.ts";

interface Opened {
  readonly run: LongRun;
  readonly members: readonly Member[];
  submit(member: number): Promise<unknown>;
}

/** Round 1 of a, b and c, each with its task. */
async function opened(t: TestContext, target: number, rounds = 1): Promise<Opened> {
  const run = await LongRun.open(t, { rounds: { ...ROUNDS, rounds, target, quorum: 2, overSelection: 3 / target } });
  const members = await run.devices("a", "b", "c");
  const works = await Promise.all(members.map(({ held }) => held.next()));
  return { run, members, submit: (member) => members[member]!.held.submit(works[member]!) };
}

async function revoke(run: LongRun, name: string): Promise<void> {
  const admin = await AdminClient.connect(run.dataDir);
  await admin.call("device.revoke", { name });
  admin.close();
}

/** Long before its deadline, or the end of its selection time. */
async function reached(run: LongRun, round: number, state: string): Promise<void> {
  const isSo = async () => (await run.rounds()).includes(`${round} ${state}`) || undefined;
  await eventually(isSo, `round ${round} to be ${state}`);
}

/** How many updates are in round 1's model, which is published; rejects at once where the coordinator fails. */
async function updatesIn(run: LongRun, submitting: readonly Promise<unknown>[]): Promise<number> {
  let count = 0;
  run.server.events.listen((event) => {
    if (event.event === "round.published") count = event.accepted.length;
  });
  await Promise.race([run.server.finished, Promise.all(submitting).then(() => run.server.finished)]);
  await run.stop();
  assert.deepEqual(await run.rounds(), ["1 published"]);
  await run.audit();
  return count;
}

test("an update counts whose device is revoked after its receipt, though the server starts again", async (t) => {
  const { run, submit } = await opened(t, 3);
  await submit(2);
  await revoke(run, "c");
  await run.stop();
  await run.start();
  assert.equal(await updatesIn(run, [submit(0), submit(1)]), 3);
});

test("a round ends without a member that is revoked before its update, though the server starts again", async (t) => {
  const { run, submit } = await opened(t, 2);
  await revoke(run, "c");
  await run.stop();
  await run.start();
  assert.equal(await updatesIn(run, [submit(0), submit(1)]), 2);
});

test("a round ends in which a member takes new keys and the enclave dies", async (t) => {
  const { run, members, submit } = await opened(t, 2);
  await members[2]!.device.rekey();
  const { enclave_pid: pid } = (await run.status()) as { enclave_pid: number };
  process.kill(pid, "SIGKILL");
  await eventually(() => !isRunning(pid), "the enclave to be gone");
  assert.equal(await updatesIn(run, [submit(0), submit(1)]), 2);
});

test("a round ends in which a member takes new keys before the enclave knows of it", async (t) => {
  const gate = Promise.withResolvers<void>();
  const { read } = ModelVault.prototype;
  t.mock.method(ModelVault.prototype, "read", async function (this: ModelVault, row: never) {
    await gate.promise;
    return await read.call(this, row);
  });
  const { run, members, submit } = await opened(t, 2);
  await members[2]!.device.rekey();
  gate.resolve();
  assert.equal(await updatesIn(run, [submit(0), submit(1)]), 2);
});

test("a round fails, and the run goes on, where the ledger has lost a member's keys", async (t) => {
  const { run, members, submit } = await opened(t, 3);
  const id = members[2]!.device.id;
  await Promise.all([submit(0), submit(1)]);
  await run.stop();
  const db = await openDatabase(join(run.dataDir, LEDGER_FILE));
  await db.deleteFrom("devices").where("id", "=", fromHex(id)!).execute();
  await db.destroy();
  await run.start();
  const finishing = Promise.all(members.slice(0, 2).map(({ held }) => held.finish()));
  await Promise.race([run.server.finished, finishing.then(() => run.server.finished)]);
  await run.stop();
  assert.deepEqual(await run.rounds(), ["1 failed", "2 published"]);
  assert.ok(run.warnings.some((line) => line.includes(`device ${id} is not in the registry`)));
});

test("a round ends when the only member that is missing is revoked", async (t) => {
  const { run, submit } = await opened(t, 3);
  await Promise.all([submit(0), submit(1)]);
  await revoke(run, "c");
  await reached(run, 1, "published");
  await run.audit();
});

test("a round ends when the only member that is missing takes new keys", async (t) => {
  const { run, members, submit } = await opened(t, 3);
  await Promise.all([submit(0), submit(1)]);
  await members[2]!.device.rekey();
  await reached(run, 1, "published");
  await run.audit();
});

test("a round waits for no member that was revoked before the server started again", async (t) => {
  const { run, submit } = await opened(t, 3);
  await revoke(run, "c");
  await run.stop();
  await run.start();
  await Promise.all([submit(0), submit(1)]);
  await reached(run, 1, "published");
  await run.audit();
});

test("a round waits for no member that is revoked while it is chosen", async (t) => {
  const [chosen, gate] = [0, 1].map(() => Promise.withResolvers<void>());
  const { startCollecting } = Ledger.prototype;
  t.mock.method(Ledger.prototype, "startCollecting", async function (this: Ledger, ...args: [never, never, never]) {
    chosen!.resolve();
    await gate!.promise;
    return await startCollecting.apply(this, args);
  });
  const run = await LongRun.open(t, { rounds: { ...ROUNDS, quorum: 2 } });
  const members = await run.devices("a", "b", "c");
  const works = members.map(({ held }) => held.next());
  const ended = assert.rejects(works[2]!);
  await chosen!.promise;
  await revoke(run, "c");
  gate!.resolve();
  await Promise.all(members.slice(0, 2).map(async ({ held }, i) => await held.submit(await works[i]!)));
  await reached(run, 1, "published");
  await members[2]!.device.close();
  await ended;
});

test("a round fails at once when so many members are revoked that it cannot reach its quorum", async (t) => {
  const { run } = await opened(t, 3);
  await revoke(run, "b");
  assert.deepEqual(await run.rounds(), ["1 collecting"]);
  await revoke(run, "c");
  await reached(run, 1, "failed");
  await reached(run, 2, "selecting");
  await run.audit();
});

test("the next round waits for nobody who was revoked after the one before", async (t) => {
  const { run, members, submit } = await opened(t, 3, 2);
  await Promise.all([submit(0), submit(1), submit(2)]);
  await reached(run, 1, "published");
  const works = Promise.all(members.slice(0, 2).map(({ held }) => held.next()));
  await revoke(run, "c");
  await reached(run, 2, "collecting");
  await works;
});

test("the next round waits for nobody who was revoked in the one before, after its update", async (t) => {
  const { run, members, submit } = await opened(t, 3, 2);
  await submit(2);
  await revoke(run, "c");
  await Promise.all([submit(0), submit(1)]);
  await reached(run, 1, "published");
  const works = Promise.all(members.slice(0, 2).map(({ held }) => held.next()));
  await reached(run, 2, "collecting");
  await works;
});

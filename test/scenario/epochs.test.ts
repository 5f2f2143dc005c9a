// Runs that last longer than one key of the enclave: no round is lost, and every device has checked every epoch.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readLedger } from "../../src/cli/ledger.ts";
import { toHex } from "../../src/core/bytes.ts";
import { epochGraceMs } from "../../src/server/epochs.ts";
import { manifestMessage } from "../../src/wire/update.ts";
import { eventually, isRunning } from "../support/cli.ts";
import { epochsSeen, LongRun } from "../support/long-run.ts";
import { ROUNDS } from "../support/server.ts";

const DAY_MS = 24 * 3_600_000;
/** Within what a server allows. */
const SKEW_MS = 200_000;

describe("the enclave gets a new key", { concurrency: 2 }, () => {
  test("after so many rounds, and the devices go on under each", async (t) => {
    const rounds = { ...ROUNDS, rounds: 5 };
    const run = await LongRun.open(t, { rounds, epochs: { rounds: 2, timeMs: DAY_MS } });
    const members = await run.devices("a", "b", "c");
    await Promise.all(members.map(({ held }) => held.finish()));
    await run.server.finished;
    await run.stop();
    for (const member of members) assert.deepEqual(epochsSeen(member), [1, 2, 3]);
    assert.deepEqual(await run.epochs(), ["enclave epoch 1", "enclave epoch 2", "enclave epoch 3"]);
    const { updates, models } = await run.audit();
    assert.deepEqual([updates, models], [15, 6]);
    assert.deepEqual(await run.rounds(), ["1 published", "2 published", "3 published", "4 published", "5 published"]);
  });

  test("between two rounds where the time of the one before is over, also by 40 days at once", async (t) => {
    const rounds = { ...ROUNDS, rounds: 3 };
    const run = await LongRun.open(t, { rounds, epochs: { rounds: 1000, timeMs: 30 * DAY_MS } });
    const members = await run.devices("a", "b", "c");
    for (const jumpMs of [0, 31 * DAY_MS, 40 * DAY_MS]) {
      run.clock.move(jumpMs);
      const works = await Promise.all(members.map(({ held }) => held.next()));
      await Promise.all(works.map((work, i) => members[i]!.held.submit(work)));
    }
    await Promise.all(members.map(({ held }) => held.finish()));
    await run.stop();
    assert.deepEqual(await run.epochs(), ["enclave epoch 1", "enclave epoch 2", "enclave epoch 3"]);
    assert.deepEqual(await run.rounds(), ["1 published", "2 published", "3 published"]);
    await run.audit();
  });

  test("in the middle of a round that its evidence does not outlast, and updates under both keys count", async (t) => {
    const run = await LongRun.open(t, { epochs: { rounds: 1000, timeMs: DAY_MS } });
    const [early, steady] = await run.devices("early", "steady");
    const ahead = await run.device("ahead", { nowMs: () => run.clock.nowMs() + SKEW_MS });
    const [first, second, third] = await Promise.all([early!, steady!, ahead].map(({ held }) => held.next()));
    await early!.held.submit(first!);
    await run.stop();
    // To where the evidence is over for the one whose clock is ahead.
    run.clock.move(DAY_MS + epochGraceMs(ROUNDS.deadlineMs) - SKEW_MS / 2);
    await run.start();
    // Sees that what it had checked is over, and seals to the new key what it has trained.
    await ahead.held.submit(third!);
    assert.deepEqual(epochsSeen(ahead), [1, 2]);
    // Still has the key before, which this round was open under.
    await steady!.held.submit(second!);
    assert.deepEqual(epochsSeen(steady!), [1]);
    await run.server.finished;
    await run.stop();
    assert.deepEqual(await run.epochs(), ["enclave epoch 1", "enclave epoch 2"]);
    const report = await run.audit();
    assert.deepEqual([report.updates, report.models], [3, 2]);
    const rows = await readLedger(run.dataDir, (db) => db.selectFrom("updates").select("manifest").execute());
    const keys = rows.map(({ manifest }) => toHex(manifestMessage.decode(manifest).enclave_key_hash));
    assert.deepEqual([keys.length, new Set(keys).size], [3, 2]);
  });

  test("first of all where the server was away until the epoch was over", async (t) => {
    const run = await LongRun.open(t, { epochs: { rounds: 1000, timeMs: DAY_MS } });
    await run.stop();
    run.clock.move(3 * DAY_MS);
    await run.start();
    await finishRound(run);
  });

  test("where its process dies after the end of its epoch, before anybody asked for another", async (t) => {
    const run = await LongRun.open(t, { epochs: { rounds: 1000, timeMs: DAY_MS } });
    const { enclave_pid: pid } = (await run.status()) as { enclave_pid: number };
    run.clock.move(3 * DAY_MS);
    process.kill(pid, "SIGKILL");
    await eventually(() => !isRunning(pid), "the enclave to be gone");
    await finishRound(run);
  });
});

/** By devices that see the second epoch alone. */
async function finishRound(run: LongRun): Promise<void> {
  const members = await run.devices("a", "b", "c");
  await Promise.all(members.map(({ held }) => held.finish()));
  await run.server.finished;
  await run.stop();
  for (const member of members) assert.deepEqual(epochsSeen(member), [2]);
  assert.deepEqual(await run.rounds(), ["1 published"]);
  await run.audit();
}

// Sealing keys that are gone: without leave the server stops, with it a new enclave begins an epoch of its own, the
// round that was open fails, and devices seal what they have trained to the new key.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { eventually, isRunning } from "../support/cli.ts";
import { coded } from "../support/errors.ts";
import { epochsSeen, LongRun, type Member } from "../support/long-run.ts";
import { ROUNDS } from "../support/server.ts";

const keyOf = (run: LongRun): string => join(run.dataDir, "enclave", "sealing.key");

const isReplaced = ({ events }: Member): boolean[] =>
  events.flatMap((event) => (event.event === "enclave" ? [event.replaced] : []));

async function operations(run: LongRun): Promise<number> {
  return (await run.entries()).filter(({ type }) => type === "enclave.operation").length;
}

async function assertReplaced(run: LongRun): Promise<void> {
  assert.deepEqual(await run.epochs(), ["enclave epoch 1", "enclave epoch 2"]);
  const types = (await run.entries()).map(({ type, subject }) => `${type} ${subject}`);
  for (const told of ["enclave.replaced epoch 2", "model.adopted round 0", "round.failed round 1"]) {
    assert.equal(types.filter((type) => type === told).length, 1, told);
  }
  assert.ok(run.warnings.some((line) => line.startsWith("the enclave's keys are lost")));
  assert.deepEqual(await run.rounds(), ["1 failed", "2 published"]);
  await run.audit();
}

describe("a lost sealing key", { concurrency: 2 }, () => {
  test("fails the open round at the next start, and what was trained is sealed again to the new key", async (t) => {
    const run = await LongRun.open(t);
    const [early, ...others] = await run.devices("a", "b", "c");
    const works = await Promise.all([early!, ...others].map(({ held }) => held.next()));
    await early!.held.submit(works[0]!);
    await run.stop();
    rmSync(keyOf(run));
    await assert.rejects(run.start(), coded("enclave.state", /restore it from a backup, or .* --lost-enclave replace/));
    await run.start({ lostEnclave: "replace" });
    const again = early!.held.next();
    const sent = others.map(({ held }, i) => held.submit(works[i + 1]!));
    await early!.held.submit(await again);
    for (const receipt of await Promise.all(sent)) assert.equal(receipt.round, 2);
    await run.server.finished;
    await run.stop();
    for (const member of [early!, ...others]) {
      assert.deepEqual(epochsSeen(member), [1, 2]);
      assert.deepEqual(isReplaced(member), [false, true]);
    }
    await assertReplaced(run);
  });

  test("fails the open round of a server that goes on, when its enclave is killed", async (t) => {
    const run = await LongRun.open(t, { lostEnclave: "replace" });
    const members = await run.devices("a", "b", "c");
    const works = await Promise.all(members.map(({ held }) => held.next()));
    const { enclave_pid: pid } = (await run.status()) as { enclave_pid: number };
    rmSync(keyOf(run));
    process.kill(pid, "SIGKILL");
    await eventually(() => !isRunning(pid), "the enclave to be gone");
    // Taken under the key that is lost; the enclave is started to open it.
    await members[0]!.held.submit(works[0]!);
    await eventually(async () => (await run.rounds())[0] === "1 failed" || undefined, "round 1 to fail");
    await Promise.all([
      (async () => members[0]!.held.submit(await members[0]!.held.next()))(),
      ...[1, 2].map((i) => members[i]!.held.submit(works[i]!)),
    ]);
    await run.server.finished;
    await run.stop();
    await assertReplaced(run);
  });

  test("is none where the state is only older: that is refused, whatever is allowed", async (t) => {
    const rounds = { ...ROUNDS, rounds: 2, target: 1, quorum: 1 };
    const run = await LongRun.open(t, { rounds, lostEnclave: "replace" });
    const { held } = await run.device("a");
    await held.submit(await held.next());
    await run.stop();
    const older = await run.sealed();
    await run.start();
    await held.submit(await held.next());
    await run.server.finished;
    await run.stop();
    await run.putBack(older);
    const before = await operations(run);
    await assert.rejects(run.start(), coded("enclave.rollback", /stands at record \d+, the log at \d+/));
    assert.equal(await operations(run), before);
  });
});

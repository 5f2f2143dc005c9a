// A host that puts an older state back: of the enclave alone, of its keys alone, or of everything that it has.

import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { coded } from "../support/errors.ts";
import { LongRun } from "../support/long-run.ts";
import { ROUNDS } from "../support/server.ts";

const ALONE = { ...ROUNDS, rounds: 4, target: 1, quorum: 1, deadlineMs: 2000 };

async function playRound(run: LongRun, held: Awaited<ReturnType<LongRun["device"]>>["held"]): Promise<void> {
  const published = run.published();
  await held.submit(await held.next());
  await published;
}

test("an enclave does not resume from progress that is older than its newest record in the log", async (t) => {
  const run = await LongRun.open(t, { rounds: ALONE });
  const { held } = await run.device("a");
  await playRound(run, held);
  await run.stop();
  const older = await run.sealed();
  await run.start();
  await playRound(run, held);
  await run.stop();
  const newest = await run.sealed();
  await run.putBack({ ...newest, enclave_progress: older.enclave_progress });
  await assert.rejects(run.start(), coded("enclave.rollback"));
  await run.putBack(older);
  await assert.rejects(run.start(), coded("enclave.rollback"));
  await run.putBack({ ...newest, enclave_keys: older.enclave_keys });
  await assert.rejects(run.start(), coded("enclave.rollback", /its keys are not those that its progress names/));
  await run.putBack(newest);
  await run.start();
  await playRound(run, held);
  await run.stop();
  await run.audit();
});

test("a device refuses a run that was put back with its log, and with it all that the enclave compares", async (t) => {
  const run = await LongRun.open(t, { rounds: ALONE });
  const { held } = await run.device("a");
  await playRound(run, held);
  await run.stop();
  const copy = join(run.folder, "copy");
  cpSync(run.dataDir, copy, { recursive: true });
  await run.start();
  await playRound(run, held);
  await run.stop();
  rmSync(run.dataDir, { recursive: true });
  cpSync(copy, run.dataDir, { recursive: true });
  await run.start();
  await assert.rejects(held.next(), coded("log.fork"));
});

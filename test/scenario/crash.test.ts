// Processes that die without a word, at every stage of a round. Afterwards no accepted update is lost or counted twice.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import { readLedger } from "../../src/cli/ledger.ts";
import type { Round } from "../../src/device/round.ts";
import { auditEntry, enclaveRecord } from "../../src/wire/audit.ts";
import { type Cli, eventually, isRunning } from "../support/cli.ts";
import { Held } from "../support/held.ts";
import { assertOutcome, type Participant } from "../support/outcome.ts";
import { uniform } from "../support/rows.ts";
import { TestRun } from "../support/run.ts";

const submittedIn =
  (round: number) =>
  (line: Readonly<Record<string, unknown>>): boolean =>
    line.event === "submitted" && line.round === round;

interface Trio {
  readonly run: TestRun;
  readonly a: Cli;
  readonly b: Cli;
  readonly held: Held;
  readonly all: Participant[];
}

/** Two device processes and a held device; a round needs all three. */
async function openTrio(t: TestContext, rounds: number): Promise<Trio> {
  const run = await TestRun.open(t, "--rounds", String(rounds), "--target", "3", "--quorum", "2");
  const [a, b] = await Promise.all([run.enrolDevice("a", 1), run.enrolDevice("b", 2)]);
  const held = new Held(await run.heldDevice("held"));
  const all = [
    { name: "a", part: 1, processes: [a] },
    { name: "b", part: 2, processes: [b] },
    { name: "held", known: held.known },
  ];
  return { run, a, b, held, all };
}

/** The round of the held device, once the other two have their receipts. */
async function twoSubmitted({ a, b, held }: Trio): Promise<Round> {
  const round = await held.next();
  await Promise.all([a, b].map((device) => device.line(submittedIn(1), "its receipt")));
  return round;
}

/** The same, once the enclave too has kept their updates. */
async function twoKept(trio: Trio): Promise<Round> {
  const round = await twoSubmitted(trio);
  await eventually(async () => (await enclaveKept(trio.run)) === 2 || undefined, "the enclave to keep two updates");
  return round;
}

/** All three have submitted; the enclave, whose process id it gives, stands still before it aggregates. */
async function pausedBeforeAggregating(trio: Trio): Promise<number> {
  const { run, held } = trio;
  const round = await twoKept(trio);
  const enclave = await run.enclavePid();
  run.pause(enclave);
  await held.submit(round);
  await eventually(async () => (await stateOf(run, 1)) === "aggregating" || undefined, "the round to aggregate");
  return enclave;
}

async function enclaveKept(run: TestRun): Promise<number> {
  return await readLedger(run.dataDir, async (db) => {
    const entries = (await db.selectFrom("audit").select("entry").execute()).map((row) => auditEntry.decode(row.entry));
    const records = entries.filter((entry) => entry.type === "enclave.operation");
    return records.filter((entry) => enclaveRecord.decode(entry.data).operation === "update").length;
  });
}

async function stateOf(run: TestRun, round: number): Promise<string | undefined> {
  return await readLedger(run.dataDir, async (db) => {
    const row = await db.selectFrom("rounds").select("state").where("round", "=", round).executeTakeFirst();
    return row?.state;
  });
}

describe("after kill -9", { concurrency: 2 }, () => {
  test("of the server in the middle of a round, what it had accepted counts once", async (t) => {
    const trio = await openTrio(t, 2);
    const { run, a, b, held, all } = trio;
    const round = await twoSubmitted(trio);
    const enclave = await run.enclavePid();
    await run.server.kill();
    await eventually(() => !isRunning(enclave), "the enclave to leave with its server");
    const server = await run.startServer();
    const receipt = await held.submit(round);
    await Promise.all([held.finish(), server.event("run.finished"), a.ending(), b.ending()]);
    const stored = await assertOutcome(run, 2, all);
    assert.equal(stored.updates.length, 6);
    const row = stored.updates.find((update) => update.round === 1 && update.audit_index === receipt.audit_index)!;
    assert.equal(row.accepted_at, receipt.accepted_at);
  });

  test("of the server while it waits for devices, those that wait come back", async (t) => {
    const run = await TestRun.open(t, "--rounds", "1", "--target", "3", "--quorum", "2");
    const [a, b] = await Promise.all([run.enrolDevice("a", 1), run.enrolDevice("b", 2)]);
    await Promise.all([a, b].map((device) => device.event("session")));
    assert.equal(await stateOf(run, 1), "selecting");
    await run.restartServer();
    const held = new Held(await run.heldDevice("held"));
    await Promise.all([held.finish(), a.ending(), b.ending()]);
    await assertOutcome(run, 1, [
      { name: "a", part: 1, processes: [a] },
      { name: "b", part: 2, processes: [b] },
      { name: "held", known: held.known },
    ]);
  });

  test("of the server while the enclave aggregates, the round is aggregated again from the ledger", async (t) => {
    const trio = await openTrio(t, 2);
    const { run, a, b, held, all } = trio;
    const enclave = await pausedBeforeAggregating(trio);
    await run.server.kill();
    run.resume(enclave);
    await run.startServer();
    await Promise.all([held.finish(), a.ending(), b.ending()]);
    await assertOutcome(run, 2, all);
  });

  test("of the enclave, its successor gets every update of the round again", async (t) => {
    const trio = await openTrio(t, 2);
    const { run, a, b, held, all } = trio;
    const round = await twoKept(trio);
    const first = await run.enclavePid();
    process.kill(first, "SIGKILL");
    await eventually(() => !isRunning(first), "the enclave to be gone");
    await held.submit(round);
    const again = await held.next();
    const second = await run.enclavePid();
    assert.notEqual(second, first);
    process.kill(second, "SIGKILL");
    await held.submit(again);
    await Promise.all([held.finish(), a.ending(), b.ending()]);
    await assertOutcome(run, 2, all);
    assert.equal((await enclaveKept(run)) >= 3 + 2 + 3, true);
  });

  test("of the enclave while it aggregates, its successor finishes the round under the same keys", async (t) => {
    const trio = await openTrio(t, 1);
    const { run, a, b, held, all } = trio;
    const enclave = await pausedBeforeAggregating(trio);
    process.kill(enclave, "SIGKILL");
    await Promise.all([held.finish(), a.ending(), b.ending()]);
    const stored = await assertOutcome(run, 1, all);
    assert.equal(stored.updates.length, 3);
  });

  test("of a device before it submits or after, it takes up the round where it is", async (t) => {
    const trio = await openTrio(t, 2);
    const { run, a, b, held, all } = trio;
    const round = await twoSubmitted(trio);
    await a.kill();
    run.pause(b.pid);
    const second = run.startDevice("a", 1);
    await second.event("session");
    await held.submit(round);
    const next = held.next();
    // b stands still, and with it the selection of round 2: its connection may still look alive, so it is selected.
    await b.kill();
    const third = run.startDevice("b", 2);
    await held.submit(await next);
    await Promise.all([held.finish(), second.ending(), third.ending()]);
    const processes = { a: [a, second], b: [b, third] } as Record<string, Cli[]>;
    const stored = await assertOutcome(
      run,
      2,
      all.map((one) => ({ ...one, ...(processes[one.name] === undefined ? {} : { processes: processes[one.name]! }) })),
    );
    assert.equal(stored.updates.length, 6);
  });

  test("of the server at six moments of a run, every round comes to its end", async (t) => {
    const { run, a, b, held, all } = await openTrio(t, 100_000);
    const next = uniform(7);
    const done = held.finish().catch(() => undefined);
    for (let i = 0; i < 6; i++) {
      await run.server.event("round.started");
      const delayMs = Math.floor(400 * next());
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await run.restartServer();
    }
    await run.server.event("round.published");
    await (await run.admin()).call("stop");
    await run.server.ending();
    await Promise.all([a.kill(), b.kill()]);
    void done;
    const published = await readLedger(run.dataDir, async (db) => {
      return await db.selectFrom("rounds").select("round").where("state", "=", "published").execute();
    });
    await assertOutcome(run, published.length, all);
  });
});

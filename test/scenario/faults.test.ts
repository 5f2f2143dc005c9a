// What goes wrong between processes that live: devices that stand still, answers that get lost, limits, a full disk,
// a server that is started again.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import type { DeviceEvent } from "../../src/device/event.ts";
import { type Cli, eventually, type JsonLine } from "../support/cli.ts";
import { Held } from "../support/held.ts";
import { assertOutcome, type Participant, readStored } from "../support/outcome.ts";
import { LossyProxy } from "../support/proxy.ts";
import { TestRun } from "../support/run.ts";

const DEADLINE_SECONDS = 3;
/** Between a deadline and a published model; only a round that waits for the one who stands still gets there. */
const SLACK_SECONDS = 30;

function names(line: JsonLine, member: "accepted" | "missing"): readonly string[] {
  return (line[member] ?? []) as string[];
}

function publishedWith(member: "accepted" | "missing", name: string): (line: JsonLine) => boolean {
  return (line) => line.event === "round.published" && names(line, member).includes(name);
}

function submitted(round: number): (line: JsonLine) => boolean {
  return (line) => line.event === "submitted" && line.round === round;
}

async function publishedRounds(run: TestRun): Promise<number> {
  return (await readStored(run.dataDir)).rounds.filter((row) => row.state === "published").length;
}

/** The largest file that the server may write from now on. */
function limitFiles(server: Cli, limit: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", String(server.pid), `--fsize=${limit}:unlimited`]);
}

describe("a run goes on", { concurrency: 3 }, () => {
  test("where a device is told to wait for its limit", async (t) => {
    const flags = ["--rounds", "2", "--target", "2", "--quorum", "2", "--round-deadline", "5m"];
    const run = await TestRun.open(t, ...flags, "--submit-per-minute", "1");
    const [a, b] = await Promise.all([run.enrolDevice("a", 1), run.enrolDevice("b", 2)]);
    for (const device of [a, b]) {
      const waits = await device.event("retry");
      assert.match(waits.reason as string, /^Cannot serve request: too many of this kind/);
      assert.ok((waits.wait_ms as number) >= 1000 && (waits.wait_ms as number) <= 60_000);
    }
    const endings = await Promise.all([a.ending(), b.ending()]);
    assert.deepEqual(
      endings.map(({ code }) => code),
      [0, 0],
    );
    await assertOutcome(run, 2, [
      { name: "a", part: 1, processes: [a] },
      { name: "b", part: 2, processes: [b] },
    ]);
  });

  test("where one device stands still for 12 seconds and another dies right after it enrolled", async (t) => {
    const run = await TestRun.open(
      t,
      ...["--rounds", "100000", "--target", "3", "--quorum", "2"],
      ...["--round-deadline", `${DEADLINE_SECONDS}s`],
    );
    const dead = await run.enrolDevice("dead", 1);
    await dead.kill();
    const devices = await Promise.all(["a", "b", "c"].map((name, i) => run.enrolDevice(name, i + 1)));
    await run.server.line(publishedWith("accepted", "c"), "a round with c");
    const from = run.server.lines.length;
    const standsStillMs = performance.now();
    run.pause(devices[2].pid);
    const without = await run.server.line(publishedWith("missing", "c"), "a round without c", from);
    assert.deepEqual(names(without, "accepted").toSorted(), ["a", "b"]);
    await eventually(() => performance.now() - standsStillMs > 12_000 || undefined, "12 seconds");
    const meanwhile = run.server.lines.slice(from).filter((line) => line.event === "round.published");
    assert.ok(meanwhile.length >= 2, "the others publish rounds of their own");
    for (const line of meanwhile) assert.ok((line.seconds as number) < DEADLINE_SECONDS + SLACK_SECONDS);
    const back = run.server.lines.length;
    run.resume(devices[2].pid);
    await run.server.line(publishedWith("accepted", "c"), "c to take part again", back);
    run.server.signal("SIGTERM");
    assert.equal((await run.server.ending()).code, 0);
    await Promise.all(devices.map((device) => device.kill()));
    assert.ok(
      !run.server.lines.some((line) => [...names(line, "accepted"), ...names(line, "missing")].includes("dead")),
    );
    const all = devices.map((device, i): Participant => {
      return { name: ["a", "b", "c"][i], part: i + 1, processes: [device] };
    });
    await assertOutcome(run, await publishedRounds(run), all);
  });

  test("where the answer to a submission is lost twice, and the same receipt comes again", async (t) => {
    const proxy = await LossyProxy.open(t);
    const url = ["--public-url", `https://127.0.0.1:${proxy.port}`];
    const run = await TestRun.open(t, "--rounds", "2", "--target", "2", "--quorum", "2", ...url);
    proxy.forwardTo(run.port);
    const a = await run.enrolDevice("a", 1);
    const retries: DeviceEvent[] = [];
    const held = new Held(await run.heldDevice("held", (event) => event.event === "retry" && retries.push(event)));
    const round = await held.next();
    await a.line(submitted(1), "the other's receipt");
    retries.length = 0;
    proxy.losses = 2;
    const receipt = await held.submit(round);
    assert.equal(proxy.lost, 2);
    assert.equal(retries.length, 2);
    await Promise.all([held.finish(), a.ending()]);
    const stored = await assertOutcome(run, 2, [
      { name: "a", part: 1, processes: [a] },
      { name: "held", known: held.known },
    ]);
    const rows = stored.updates.filter((row) => row.round === 1);
    assert.equal(rows.length, 2);
    const own = rows.find((row) => row.audit_index === receipt.audit_index)!;
    assert.deepEqual(own.blob_digest, receipt.blob_digest);
    assert.equal(own.accepted_at, receipt.accepted_at);
  });

  test("once there is space again, and an update that found none has left nothing behind", async (t) => {
    const run = await TestRun.open(t, "--rounds", "2", "--target", "2", "--quorum", "2");
    const a = await run.enrolDevice("a", 1);
    const full = Promise.withResolvers<string>();
    const held = new Held(
      await run.heldDevice("held", (event) => event.event === "retry" && full.resolve(event.reason)),
    );
    const round = await held.next();
    await a.line(submitted(1), "the other's receipt");
    const before = readdirSync(run.dataDir, { recursive: true }).sort();
    limitFiles(run.server, 4096);
    const sending = held.submit(round);
    assert.equal(await full.promise, "Cannot store: no space is left");
    assert.deepEqual(readdirSync(run.dataDir, { recursive: true }).sort(), before);
    assert.equal((await readStored(run.dataDir)).updates.length, 1);
    limitFiles(run.server, "unlimited");
    await sending;
    // The coordinator, too, waits for space: here to write down who takes part in the second round.
    await run.server.event("round.published");
    await eventually(async () => (await readStored(run.dataDir)).rounds.length === 2 || undefined, "round 2");
    limitFiles(run.server, 4096);
    const next = held.next();
    await eventually(
      () => run.server.stderr.includes("Cannot use stored data now: disk I/O error") || undefined,
      "a full disk",
    );
    limitFiles(run.server, "unlimited");
    await held.submit(await next);
    await Promise.all([held.finish(), a.ending()]);
    await assertOutcome(run, 2, [
      { name: "a", part: 1, processes: [a] },
      { name: "held", known: held.known },
    ]);
  });

  test("where the server is stopped between two rounds and started again", async (t) => {
    const run = await TestRun.open(t, "--rounds", "2", "--target", "3", "--quorum", "3");
    const [a, b] = await Promise.all([run.enrolDevice("a", 1), run.enrolDevice("b", 2)]);
    const held = new Held(await run.heldDevice("held"));
    await held.submit(await held.next());
    await run.server.event("round.published");
    run.server.signal("SIGTERM");
    assert.equal((await run.server.ending()).code, 0);
    await Promise.all([a, b].map((device) => device.event("retry")));
    await run.startServer();
    await Promise.all([held.finish(), a.ending(), b.ending()]);
    for (const device of [a, b]) {
      assert.equal(device.lines.filter((line) => line.event === "session").length, 2);
    }
    await assertOutcome(run, 2, [
      { name: "a", part: 1, processes: [a] },
      { name: "b", part: 2, processes: [b] },
      { name: "held", known: held.known },
    ]);
  });
});

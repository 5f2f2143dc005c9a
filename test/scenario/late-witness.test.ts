import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWitnessPolicy } from "../../src/wire/witness-policy.ts";
import { eventually } from "../support/cli.ts";
import { LongRun } from "../support/long-run.ts";
import { ROUNDS } from "../support/server.ts";
import { TestWitness } from "../support/witness.ts";

test("a device that wants more witnesses than its server waits for the one that is away, and goes on", async (t) => {
  const run = await LongRun.open(t, { rounds: { ...ROUNDS, rounds: 1000, target: 2, quorum: 1, selectionMs: 200 } });
  const one = await TestWitness.open(t, run, "one");
  const two = await TestWitness.open(t, run, "two");
  const policy = (count: string): string => `${one.line}\n${two.line}\ngroup both ${count} one two\nquorum both\n`;
  await two.go();
  await run.stop();
  await run.start({ witnesses: parseWitnessPolicy(policy("any")) });
  run.wanted = { ...run.wanted, witnessPolicy: policy("all") };
  const { held, events } = await run.device("strict");
  let hasBegun = false;
  const begun = held.next().finally(() => {
    hasBegun = true;
  });
  const refused = () =>
    events.filter((event) => event.event === "retry" && event.reason.endsWith("got the lines of one"));
  // By the last of these the round is open, and nothing makes the log grow.
  await eventually(() => refused().length > 3 || undefined, "the device waits for the other witness");
  assert.ok(!hasBegun);
  await two.come();
  await held.submit(await begun);
});

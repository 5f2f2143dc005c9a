// What a run must have come to, judged from its data folder and from what the devices were told: nothing that was
// accepted is lost or counted twice, and each model is the weighted mean of what was submitted.

import assert from "node:assert/strict";
import { join } from "node:path";
import { loadTraining, shareOf } from "../../src/cli/data.ts";
import { readLedger } from "../../src/cli/ledger.ts";
import { systemClock } from "../../src/cli/system.ts";
import { toHex } from "../../src/core/bytes.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { decodeModel } from "../../src/learning/model-file.ts";
import { Network } from "../../src/learning/network.ts";
import { trainingPlanShape } from "../../src/learning/plan.ts";
import { createTrainer } from "../../src/learning/trainer.ts";
import type { RoundRow, UpdateRow } from "../../src/server/ledger.ts";
import { ModelVault } from "../../src/server/models.ts";
import { BlobStore } from "../../src/server/store/blobs.ts";
import { reportMessage } from "../../src/wire/report.ts";
import type { Cli } from "./cli.ts";
import { runCli } from "./cli.ts";
import { assertClose } from "./rows.ts";
import { PARTS, type TestRun } from "./run.ts";

export interface Submitted {
  readonly delta: Float32Array;
  readonly examples: number;
}

/** What a device of the test gave, by round; undefined for what a device process trained by itself. */
export type Known = ReadonlyMap<number, Submitted>;

export interface Participant {
  readonly name: string;
  /** Its share of the table, from 1; for a device process. */
  readonly part?: number;
  readonly known?: Known;
  /** The processes that it was, one after the other. */
  readonly processes?: readonly Cli[];
}

export interface Stored {
  readonly plan: string;
  readonly rounds: readonly RoundRow[];
  readonly updates: readonly UpdateRow[];
  readonly names: ReadonlyMap<string, string>;
  /** By round; 0 is the first model. */
  readonly models: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
}

export async function readStored(dataDir: string): Promise<Stored> {
  return await readLedger(dataDir, async (db) => {
    const vault = new ModelVault(new BlobStore(join(dataDir, "blobs"), systemRandom), systemRandom, systemClock);
    const models = new Map<number, Uint8Array<ArrayBuffer>>();
    for (const row of await db.selectFrom("models").selectAll().execute()) models.set(row.round, await vault.read(row));
    const devices = await db.selectFrom("devices").selectAll().execute();
    return {
      plan: (await db.selectFrom("run").selectAll().executeTakeFirstOrThrow()).plan,
      rounds: await db.selectFrom("rounds").selectAll().orderBy("round").execute(),
      updates: await db.selectFrom("updates").selectAll().execute(),
      names: new Map(devices.map((device) => [toHex(device.id), device.name])),
      models,
    };
  });
}

/** The run has published exactly these rounds and all of it holds. Returns what is stored. */
export async function assertOutcome(run: TestRun, rounds: number, all: readonly Participant[]): Promise<Stored> {
  const stored = await readStored(run.dataDir);
  const published = stored.rounds.filter((row) => row.state === "published");
  assert.equal(published.length, rounds, "published rounds");
  for (const participant of all) assertReceipts(stored, participant);
  let base = 0;
  for (const row of published) {
    assertReport(stored, row);
    await assertMean(run, stored, row, base, all);
    base = row.round;
  }
  const audit = await runCli(["audit", "verify", "--data-dir", run.dataDir, "--json"]);
  assert.equal(audit.code, 0, audit.stderr);
  return stored;
}

/** Each receipt stands for the one update of that device in that round. */
function assertReceipts(stored: Stored, { name, processes }: Participant): void {
  const receipts = (processes ?? []).flatMap((process) => process.lines.filter((line) => line.event === "submitted"));
  for (const { round, audit_index } of receipts) {
    const rows = updatesOf(stored, round as number).filter((row) => nameOf(stored, row.device_id) === name);
    assert.deepEqual(
      rows.map((row) => row.audit_index),
      [audit_index],
      `${name}, round ${round}`,
    );
  }
  const rounds = receipts.map((receipt) => receipt.round);
  assert.equal(new Set(rounds).size, rounds.length, `${name} submitted once a round`);
}

/** The enclave judged every accepted update, once, and nothing else. */
function assertReport(stored: Stored, row: RoundRow): void {
  const report = reportMessage.decode(row.report!);
  const judged = report.updates.map((update) => toHex(update.device_id)).sort();
  const accepted = updatesOf(stored, row.round)
    .map((update) => toHex(update.device_id))
    .sort();
  assert.deepEqual(judged, accepted, `report of round ${row.round}`);
}

async function assertMean(
  run: TestRun,
  stored: Stored,
  { round }: RoundRow,
  base: number,
  all: readonly Participant[],
): Promise<void> {
  const before = decodeModel(stored.models.get(base)!);
  const submitted: Submitted[] = [];
  for (const { device_id } of updatesOf(stored, round)) {
    const participant = all.find((one) => one.name === nameOf(stored, device_id))!;
    submitted.push(participant.known?.get(round) ?? (await train(run, stored, participant.part!, round, before)));
  }
  const examples = submitted.reduce((sum, one) => sum + one.examples, 0);
  const expected = before.parameters.map((value, i) => {
    return value + submitted.reduce((sum, one) => sum + one.examples * one.delta[i], 0) / examples;
  });
  assertClose(decodeModel(stored.models.get(round)!).parameters, expected, 1e-6);
}

/** What qflare device run computes for this share and round. */
async function train(
  run: TestRun,
  stored: Stored,
  part: number,
  round: number,
  { description, parameters }: ReturnType<typeof decodeModel>,
): Promise<Submitted> {
  const seed = 1;
  const dataset = shareOf(loadTraining({ csv: run.table, label: "kind" }), `${part}/${PARTS}`, "iid", seed);
  const plan = trainingPlanShape.read(JSON.parse(stored.plan), "plan");
  const trained = await createTrainer(new Network(description), dataset).train({
    parameters,
    plan,
    seed: seed + round,
  });
  return { delta: trained.parameters.map((value, i) => value - parameters[i]), examples: trained.examples };
}

function updatesOf(stored: Stored, round: number): UpdateRow[] {
  return stored.updates.filter((update) => update.round === round);
}

function nameOf(stored: Stored, id: Uint8Array): string | undefined {
  return stored.names.get(toHex(id));
}

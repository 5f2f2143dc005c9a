// The demonstration as a user or a script starts it, and what its data folder proves afterwards.

import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { before, describe, test } from "node:test";
import { loadTest } from "../../src/cli/data.ts";
import { evaluate } from "../../src/learning/evaluate.ts";
import { decodeModel } from "../../src/learning/model-file.ts";
import { Network } from "../../src/learning/network.ts";
import { eachOf, type JsonLine, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";

const MEMBERS = [
  ...["event", "rounds", "devices", "malicious", "accuracy", "acceptedUpdates", "rejectedUpdates", "rejectedHonest"],
  ...["auditVerified", "suite", "seconds"],
];

/** Accuracy of a coin with ten sides. */
const GUESSING = 0.1;

async function demo(...flags: string[]): Promise<{ finished: JsonLine; lines: JsonLine[] }> {
  const args = ["demo", "--json", "--data-dir", join(temporaryFolder(), "data"), ...flags];
  const { code, stdout, stderr } = await runCli(args);
  assert.equal(code, 0, `${flags.join(" ")}: ${stderr}`);
  assert.equal(stderr, "");
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonLine);
  return { finished: lines.at(-1)!, lines };
}

interface Case {
  readonly flags: readonly string[];
  readonly expected: JsonLine;
  readonly accuracyMin?: number;
}

const CASES: readonly Case[] = [
  {
    flags: ["--rounds", "1", "--devices", "3", "--suite", "QF1-FRODO", "--malicious", "0"],
    expected: { rounds: 1, malicious: 0, acceptedUpdates: 3, rejectedUpdates: 0, suite: "QF1-FRODO" },
  },
  {
    flags: ["--rounds", "1", "--devices", "3", "--rule", "mean"],
    expected: { malicious: 1, acceptedUpdates: 3, rejectedUpdates: 0, suite: "QF2-HYBRID" },
    accuracyMin: 0,
  },
  {
    flags: ["--rounds", "2", "--devices", "4", "--attack", "scale"],
    expected: { acceptedUpdates: 6, rejectedUpdates: 2, rejectedHonest: 0 },
  },
  { flags: ["--rounds", "1", "--devices", "4", "--attack", "noise"], expected: { rejectedHonest: 0 } },
  { flags: ["--rounds", "1", "--devices", "4", "--attack", "label-flip"], expected: { rejectedHonest: 0 } },
  {
    flags: ["--rounds", "1", "--devices", "1", "--malicious", "0", "--rule", "mean"],
    expected: { devices: 1, acceptedUpdates: 1, rejectedUpdates: 0 },
  },
  {
    flags: ["--rounds", "1", "--devices", "2", "--malicious", "0", "--rule", "mean", "--partition", "dirichlet:0.5"],
    expected: { devices: 2, acceptedUpdates: 2, rejectedUpdates: 0 },
    accuracyMin: 0,
  },
];

describe("a demonstration", () => {
  test("ends with one line that says what came of it, for every suite, rule, attack and small number", async () => {
    await eachOf(CASES, 2, async ({ flags, expected, accuracyMin = 2 * GUESSING }) => {
      const { finished } = await demo(...flags);
      const what = flags.join(" ");
      assert.deepEqual(Object.keys(finished), MEMBERS);
      assert.equal(finished.event, "finished");
      assert.equal(finished.auditVerified, true, what);
      for (const [member, value] of Object.entries(expected))
        assert.equal(finished[member], value, `${what}: ${member}`);
      assert.ok((finished.accuracy as number) >= accuracyMin, `${what}: accuracy ${finished.accuracy}`);
    });
  });
});

interface Forgery {
  readonly what: string;
  forge(ledger: DatabaseSync): void;
  readonly says: RegExp;
}

function alter(ledger: DatabaseSync, table: string, column: string, where: string): Buffer {
  const row = ledger.prepare(`SELECT ${column} AS value FROM ${table} WHERE ${where}`).get() as { value: Uint8Array };
  const value = Buffer.from(row.value);
  value[value.length - 1] ^= 1;
  ledger.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(value);
  return value;
}

const FORGERIES: readonly Forgery[] = [
  {
    what: "a byte of an entry",
    forge: (ledger) => alter(ledger, "audit", "entry", "position = 3"),
    says: /newest checkpoint of \d+ entries has another root than the log/,
  },
  {
    what: "a checkpoint that is gone",
    forge: (ledger) => ledger.exec("DELETE FROM checkpoints"),
    says: /the log has no checkpoint/,
  },
  {
    what: "a byte of a model's statement",
    forge: (ledger) => alter(ledger, "models", "statement", "round = 1"),
    says: /model of round 1 is not signed by the enclave/,
  },
  {
    what: "a byte of a manifest",
    forge: (ledger) => alter(ledger, "updates", "manifest", "rowid = (SELECT min(rowid) FROM updates)"),
    says: /update of [0-9a-f]{32} in round 1 is not/,
  },
  {
    what: "a report",
    forge: (ledger) => alter(ledger, "rounds", "report", "round = 1"),
    says: /model of round 1 has another report than the one that was signed/,
  },
  {
    what: "an update that is gone",
    forge: (ledger) => ledger.exec("DELETE FROM updates WHERE rowid = (SELECT min(rowid) FROM updates)"),
    says: /the log has 12 accepted updates, the ledger 11/,
  },
  {
    what: "a model that is gone",
    forge: (ledger) => ledger.exec("DELETE FROM models WHERE round = 2"),
    says: /model of round 3 does not stand on the one before/,
  },
];

describe("a demonstration's data folder", () => {
  const folder = temporaryFolder();
  const dataDir = join(folder, "data");
  let finished: JsonLine;
  let lines: JsonLine[];

  before(async () => {
    ({ finished, lines } = await demo("--rounds", "3", "--devices", "4", "--data-dir", dataDir));
  });

  test("comes from three rounds in which only the liar was rejected", () => {
    assert.equal(lines.filter((line) => line.event === "round").length, 3);
    const { accuracy, seconds, ...rest } = finished;
    assert.deepEqual(rest, {
      ...{ event: "finished", rounds: 3, devices: 4, malicious: 1, acceptedUpdates: 9, rejectedUpdates: 3 },
      ...{ rejectedHonest: 0, auditVerified: true, suite: "QF2-HYBRID" },
    });
    assert.ok((accuracy as number) > 0.6 && (seconds as number) > 0);
    assert.equal(lines.filter((line) => line.event === "round").at(-1)!.accuracy, accuracy);
  });

  test("gives a model file that is as accurate as it said", async () => {
    const out = join(folder, "model.safetensors");
    const { code, stderr } = await runCli(["model", "export", "--data-dir", dataDir, "--out", out]);
    assert.equal(code, 0, stderr);
    const { description, parameters } = decodeModel(new Uint8Array(readFileSync(out)));
    assert.equal(evaluate(new Network(description), parameters, loadTest({})!).accuracy, finished.accuracy);
  });

  test("is verified, and no longer once anything in it was altered", async () => {
    const whole = await runCli(["audit", "verify", "--data-dir", dataDir]);
    assert.equal(whole.code, 0, whole.stderr);
    assert.match(whole.stdout, /^verified: /);
    await eachOf([...FORGERIES.entries()], 2, async ([i, { what, forge, says }]) => {
      const copy = join(folder, `forged-${i}`);
      cpSync(dataDir, copy, { recursive: true });
      const ledger = new DatabaseSync(join(copy, "ledger.sqlite"));
      forge(ledger);
      ledger.close();
      const { code, stdout, stderr } = await runCli(["audit", "verify", "--data-dir", copy]);
      assert.equal(code, 1, what);
      assert.match(stdout, /^BROKEN: /, what);
      assert.match(stderr, says, what);
    });
  });
});

// Models and trainers of a run's own choice: a description in a file, another optimizer, another program as trainer.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadTraining } from "../../src/cli/data.ts";
import { evaluate } from "../../src/learning/evaluate.ts";
import { decodeModel } from "../../src/learning/model-file.ts";
import { Network } from "../../src/learning/network.ts";
import { runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { assertOutcome } from "../support/outcome.ts";
import { CLASSES, INPUTS, TestRun } from "../support/run.ts";

const FOREIGN = fileURLToPath(new URL("../support/foreign-trainer.mjs", import.meta.url));

describe("a run", () => {
  test("trains the model that a file describes, with the optimizer asked for", async (t) => {
    const path = join(temporaryFolder(), "model.json");
    const description = {
      kind: "sequential",
      input: [1, INPUTS, 1],
      layers: [
        { kind: "conv2d", channels: 6, kernel: 3, stride: 1, padding: 1 },
        { kind: "group-norm", groups: 2 },
        { kind: "gelu" },
        { kind: "flatten" },
        { kind: "dropout", rate: 0.1 },
        { kind: "dense", outputs: CLASSES },
      ],
      loss: "cross-entropy",
    };
    writeFileSync(path, JSON.stringify(description));
    const flags = ["--model", path, "--optimizer", "adamw", "--learning-rate", "0.02", "--weight-decay", "0.01"];
    const run = await TestRun.open(t, ...flags, "--rounds", "3", "--target", "2", "--quorum", "2");
    const devices = [await run.enrolDevice("a", 1), await run.enrolDevice("b", 2)];
    await run.server.event("run.finished");
    for (const device of devices) assert.equal((await device.ending()).code, 0);
    const { models } = await assertOutcome(run, 3, [
      { name: "a", part: 1 },
      { name: "b", part: 2 },
    ]);
    const table = loadTraining({ csv: run.table, label: "kind" });
    const accuracyOf = (round: number): number => {
      const model = decodeModel(models.get(round)!);
      assert.deepEqual(model.description, description);
      return evaluate(new Network(model.description), model.parameters, table).accuracy;
    };
    assert.ok(accuracyOf(3) > 0.8 && accuracyOf(3) > accuracyOf(0));
  });

  test("takes devices whose trainer is another program beside others", async (t) => {
    const run = await TestRun.open(t, "--rounds", "2", "--target", "2", "--quorum", "2");
    const own = await run.enrolDevice("own", 1);
    const key = ["--keystore", run.keystoreOf("foreign"), "--allow-simulated-enclave"];
    const token = ["--token", await run.token("foreign")];
    const foreign = run.start([
      "device",
      "run",
      "--json",
      ...key,
      ...token,
      "--trainer",
      `${process.execPath} ${FOREIGN}`,
    ]);
    assert.equal((await foreign.event("ready")).examples, null);
    await run.server.event("run.finished");
    for (const device of [own, foreign]) assert.equal((await device.ending()).code, 0);
    const submitted = foreign.lines.filter((line) => line.event === "submitted");
    assert.deepEqual(
      submitted.map((line) => [line.round, line.examples]),
      [
        [1, 30],
        [2, 30],
      ],
    );
    assert.ok((submitted[1].loss as number) < (submitted[0].loss as number));
  });

  test("is left by a device whose trainer fails, with one line and exit code 1", async (t) => {
    const run = await TestRun.open(t, "--rounds", "1", "--target", "2", "--quorum", "2");
    await run.enrolDevice("own", 1);
    const key = ["--keystore", run.keystoreOf("foreign"), "--allow-simulated-enclave"];
    const token = ["--token", await run.token("foreign")];
    const trainer = ["--trainer", `${process.execPath} ${FOREIGN} nan`];
    const { code, stderr } = await run.start(["device", "run", "--json", ...key, ...token, ...trainer]).ending();
    assert.equal(code, 1);
    assert.match(stderr, /^qflare: Cannot train: the training program failed: its result: [^\n]+0\.bias\n$/);
  });
});

describe("a trainer of another program", () => {
  test("is not asked to flip labels, and needs words and a time", async () => {
    const run = ["device", "run", "--keystore", "none.key", "--trainer"];
    for (const [args, text] of [
      [["x", "--attack", "label-flip"], /^qflare: --attack label-flip: the data are the --trainer's own\n$/],
      [[" "], /^qflare: --trainer: expected a program/],
      [["x", "--trainer-time", "25h"], /^qflare: --trainer-time: expected a time/],
    ] as const) {
      const { code, stderr } = await runCli([...run, ...args]);
      assert.equal(code, 2);
      assert.match(stderr, text);
    }
  });
});

describe("a demonstration", () => {
  test("refuses a model that does not fit the data before it begins", async () => {
    const path = join(temporaryFolder(), "model.json");
    writeFileSync(path, JSON.stringify({ kind: "softmax", inputs: 99, classes: 10 }));
    const { code, stderr } = await runCli(["demo", "--model", path]);
    assert.equal(code, 2);
    assert.match(stderr, /^qflare: --model: Cannot train: the data set does not fit the model: expected [^\n]+\n$/);
  });
});

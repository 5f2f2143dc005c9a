import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { QflareError } from "../../src/core/error.ts";
import { createProcessTrainer } from "../../src/device/process-trainer.ts";
import { DEFAULT_PLAN } from "../../src/learning/defaults.ts";
import { initialParameters, type ModelDescription } from "../../src/learning/model.ts";
import type { Trainer } from "../../src/learning/trainer.ts";

const MODEL: ModelDescription = { kind: "softmax", inputs: 3, classes: 3 };
const PROGRAM = fileURLToPath(new URL("../support/foreign-trainer.mjs", import.meta.url));
const PLAN = { ...DEFAULT_PLAN, learning_rate: 0.1 };
const parameters = initialParameters(MODEL, 1);

function trainerWith(t: TestContext, fault: string, timeoutMs = 20_000): Trainer {
  const trainer = createProcessTrainer(MODEL, { command: [process.execPath, PROGRAM, fault], timeoutMs });
  t.after(async () => await trainer.close?.());
  return trainer;
}

async function assertFails(trainer: Trainer, text: RegExp): Promise<void> {
  await assert.rejects(trainer.train({ parameters, plan: PLAN, seed: 1 }), (error) => {
    assert.ok(error instanceof QflareError, String(error));
    assert.equal(error.code, "training.failed");
    assert.match(error.message, text);
    return true;
  });
}

describe("a trainer of another program", () => {
  it("trains job after job in one process, and leaves the global parameters as they are", async (t) => {
    const trainer = trainerWith(t, "none");
    const before = parameters.slice();
    let current: Float32Array = parameters;
    const losses: number[] = [];
    for (let round = 1; round <= 3; round++) {
      const trained = await trainer.train({ parameters: current, plan: PLAN, seed: round });
      assert.equal(trained.examples, 30);
      losses.push(trained.loss);
      current = trained.parameters;
    }
    assert.deepEqual(
      losses,
      losses.toSorted((a, b) => b - a),
    );
    assert.ok(losses[2] < 0.3);
    assert.deepEqual(parameters, before);
  });

  const FAULTS: readonly (readonly [fault: string, text: RegExp])[] = [
    ["shape", /expected 0\.bias of 3, got 1 x 3/],
    ["nan", /expected finite values in 0\.bias/],
    ["name", /expected a tensor 0\.bias/],
    ["file", /its result: .*ENOENT/],
    ["crash", /it ended with 3: out of memory, as it were/],
    ["flood", /a line of at most 65536 bytes/],
    ["prose", /its answer "epoch 1 done"/],
    ["job", /expected an answer to job 1, got one to 2/],
    ["examples", /answer\.examples: expected whole number/],
  ];
  for (const [fault, text] of FAULTS) {
    it(`is refused its answer where something is wrong with it: ${fault}`, async (t) => {
      await assertFails(trainerWith(t, fault), text);
    });
  }

  it("is refused the next job where it answered twice", async (t) => {
    const trainer = trainerWith(t, "twice");
    await trainer.train({ parameters, plan: PLAN, seed: 1 });
    await assertFails(trainer, /one line for each job|an answer to job 2, got one to 1/);
  });

  it("fails where there is no such program", async (t) => {
    const trainer = createProcessTrainer(MODEL, { command: ["no-such-program-of-ours"] });
    t.after(async () => await trainer.close?.());
    await assertFails(trainer, /ENOENT/);
  });

  it("fails where it says nothing in its time, and is ended although it would not end by itself", async (t) => {
    await assertFails(trainerWith(t, "silence", 300), /no answer in 300 ms/);
    await assertFails(trainerWith(t, "deaf", 300), /no answer in 300 ms/);
  });

  it("fails the job under way when it is closed, and starts anew for the next", async (t) => {
    const trainer = trainerWith(t, "silence");
    const failure = assertFails(trainer, /it was ended/);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await trainer.close!();
    await failure;
    const next = assertFails(trainer, /it was ended/);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await trainer.close!();
    await next;
  });

  it("leaves no folder behind", async (t) => {
    const seen: string[] = [];
    const write = process.stderr.write.bind(process.stderr);
    t.mock.method(process.stderr, "write", (chunk: string | Uint8Array) => {
      const path = /folder (\S+)/.exec(String(chunk))?.[1];
      if (path !== undefined) seen.push(path);
      return path === undefined ? write(chunk) : true;
    });
    await trainerWith(t, "tell").train({ parameters, plan: PLAN, seed: 1 });
    assert.equal(seen.length, 1);
    assert.ok(!existsSync(seen[0]));
  });

  it("refuses no command and no time as mistakes of the caller", () => {
    assert.throws(() => createProcessTrainer(MODEL, { command: [] }), RangeError);
    assert.throws(() => createProcessTrainer(MODEL, { command: ["x"], timeoutMs: 0 }), RangeError);
  });
});

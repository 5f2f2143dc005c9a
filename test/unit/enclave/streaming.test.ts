import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { splitModel } from "../../../src/wire/model.ts";
import { reportMessage } from "../../../src/wire/report.ts";
import { heldBytes } from "../../support/array-memory.ts";
import { seededRandom } from "../../support/clock.ts";
import { AT, FIRST_MODEL, modelOf, type SignedModel, TestRun } from "../../support/enclave.ts";

const random = seededRandom("streaming");
const STREAMING = { aggregation: JSON.stringify({ rule: "streaming-mean" }) };
const ones = (value: number): number[] => new Array(6).fill(value);

/** A round with so many devices on the first model. */
async function collecting(count: number, changed = {}) {
  const run = await TestRun.open(random, { ...STREAMING, ...changed });
  const first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
  const devices = run.devices(count);
  run.begin(1, first, FIRST_MODEL, devices);
  return { run, devices };
}

function finish(run: TestRun, round: number) {
  const { answer, model } = run.enclave.aggregate({ round, at: AT });
  assert.equal(answer.failure, null);
  const report = reportMessage.decode(answer.result!.report);
  const signed: SignedModel = answer.result!;
  return { parameters: [...splitModel(model).parameters], report, signed, model };
}

describe("a round of the preset streaming-mean", () => {
  it("ends in the mean of its updates, all alike while nothing is known of their data", async () => {
    const { run, devices } = await collecting(3);
    for (const [i, device] of devices.entries()) {
      const { verdict } = await run.send(device, 1, FIRST_MODEL, ones(i), 1 + 100 * i);
      assert.equal(verdict, "kept");
    }
    const { parameters, report } = finish(run, 1);
    assert.deepEqual(parameters, [1, 2, 3, 4, 5, 6]);
    assert.equal(report.aggregation, '{"rule":"mean"}');
    assert.deepEqual(
      report.updates.map(({ verdict, weight }) => [verdict, weight]),
      new Array(3).fill(["accepted", 1]),
    );
  });

  it("weighs by examples from then on, capped by the middle of the round before", async () => {
    const { run, devices } = await collecting(3);
    for (const device of devices) await run.send(device, 1, FIRST_MODEL, ones(0), 10);
    const { signed, model } = finish(run, 1);
    run.begin(2, signed, model, devices);
    const claims = [5, 20, 1e6];
    for (const [i, device] of devices.entries()) await run.send(device, 2, model, ones(9 * i), claims[i]);
    const { parameters, report } = finish(run, 2);
    assert.deepEqual(report.updates.map(({ weight }) => weight).sort(), [20, 20, 5]);
    assert.deepEqual(parameters, [12, 13, 14, 15, 16, 17]); // (20 * 9 + 20 * 18) / 45
  });

  it("says at once why an update is not in, and leaves nothing of it in the mean", async () => {
    const { run, devices } = await collecting(6);
    const send = async (index: number, delta: number[]) =>
      (await run.send(devices[index]!, 1, FIRST_MODEL, delta)).reason;
    assert.equal(await send(0, ones(1)), null);
    assert.equal(await send(1, ones(1e6)), "update.norm");
    assert.equal(await send(2, ones(Number.NaN)), "update.not_finite");
    assert.equal(await send(3, [1, 2]), "update.length");
    assert.equal(await send(0, ones(5)), "update.duplicate");
    const manifest = run.manifest(devices[4]!, 1, FIRST_MODEL);
    const blob = await run.seal({ ...manifest, round: 2 }, ones(1));
    assert.equal(
      (await run.enclave.update(run.request(devices[4]!, manifest, blob), blob)).reason,
      "update.unreadable",
    );
    assert.equal(await send(5, ones(3)), null);
    const { parameters, report } = finish(run, 1);
    assert.deepEqual(parameters, [2, 3, 4, 5, 6, 7]);
    const reasons = new Map(report.updates.map(({ device_id, reason }) => [device_id.join(), reason]));
    assert.deepEqual(
      devices.map(({ member }) => reasons.get(member.device_id.join())),
      [null, "update.norm", "update.not_finite", "update.length", "update.unreadable", null],
    );
  });

  it("ends without a model where too few updates stand", async () => {
    const { run, devices } = await collecting(2);
    await run.send(devices[0]!, 1, FIRST_MODEL, ones(1));
    const { answer } = run.enclave.aggregate({ round: 1, at: AT });
    assert.equal(answer.result, null);
    assert.match(answer.failure!, /at least 2 updates, got 1/);
  });

  it("holds two models beside the one that it starts from, however many updates come", async () => {
    const length = 2 ** 19;
    const modelBytes = 4 * length;
    const file = modelOf(new Array(length).fill(0));
    const run = await TestRun.open(random, { ...STREAMING, parameters: length });
    const first = run.enclave.genesis({ at: AT }, file);
    const devices = run.devices(8);
    const delta = new Array(length).fill(0.5);
    run.begin(1, first, file, devices);
    run.enclave.aggregate({ round: 1, at: AT });
    const empty = heldBytes(); // with the place of the model
    run.begin(2, first, file, devices);
    const held: number[] = [];
    for (const device of devices) {
      await run.send(device, 2, file, delta);
      held.push(heldBytes() - empty);
    }
    assert.ok(Math.max(...held) < 2.1 * modelBytes, `${held.map((bytes) => bytes / modelBytes)}`);
    const { model } = run.enclave.aggregate({ round: 2, at: AT });
    assert.deepEqual(splitModel(model).parameters, new Float32Array(length).fill(0.5));
  });
});

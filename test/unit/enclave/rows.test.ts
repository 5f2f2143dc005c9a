import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Reducer } from "../../../src/math/reducer.ts";
import { splitModel } from "../../../src/wire/model.ts";
import { heldBytes } from "../../support/array-memory.ts";
import { seededRandom } from "../../support/clock.ts";
import { AT, modelOf, type SignedModel, TestRun } from "../../support/enclave.ts";

const random = seededRandom("rows of a round");
const LENGTH = 2 ** 19;
const MODEL_BYTES = 4 * LENGTH;
const DEVICES = 6;

describe("the updates of a round", () => {
  it("lie in memory that the first round took: later ones take none for an update", async (context) => {
    const reserve = context.mock.method(Reducer.prototype, "reserveRows");
    const run = await TestRun.open(random, { parameters: LENGTH, norm_max: 1e6 });
    let file = modelOf(new Array(LENGTH).fill(0));
    let signed: SignedModel = run.enclave.genesis({ at: AT }, file);
    const devices = run.devices(DEVICES);
    const delta = new Array(LENGTH).fill(0.5);
    const begun: number[] = [];
    for (let round = 1; round <= 4; round++) {
      run.begin(round, signed, file, devices);
      begun.push(heldBytes());
      const held: number[] = [];
      for (const device of devices.slice(0, DEVICES - (round % 2))) {
        assert.equal((await run.send(device, round, file, delta)).verdict, "kept");
        held.push(heldBytes() - begun.at(-1)!);
      }
      assert.ok(Math.max(...held) < 0.1 * MODEL_BYTES, `round ${round}: ${held.map((bytes) => bytes / MODEL_BYTES)}`);
      const { answer, model } = run.enclave.aggregate({ round, at: AT });
      assert.equal(answer.failure, null);
      [signed, file] = [answer.result!, model];
    }
    assert.equal(reserve.mock.callCount(), 1); // the kernel's memory is none that heldBytes sees
    assert.deepEqual(splitModel(file).parameters, new Float32Array(LENGTH).fill(2));
    assert.ok(Math.max(...begun) - begun[0] < 1.1 * MODEL_BYTES, `${begun}`);
  });
});

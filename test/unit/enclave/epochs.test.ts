import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EnclaveKeys } from "../../../src/enclave/keys.ts";
import { forgetFormer, generateKeys, rotateKeys, Vault } from "../../../src/enclave/keys.ts";
import { policyHash, policyMessage } from "../../../src/wire/policy.ts";
import { epochKeyHash } from "../../../src/wire/update.ts";
import { seededRandom } from "../../support/clock.ts";
import { AT, EPOCH_MS, enclaveOf, FIRST_MODEL, openingOf, policyOf, TestRun } from "../../support/enclave.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("epochs");
const DELTA = [1, 0, 0, 0, 0, 0];
const policy = policyMessage.encode(policyOf());
const EPOCH = { epoch: 1, first_round: 1, not_before: 0, not_after: EPOCH_MS };

async function keysOf(): Promise<EnclaveKeys> {
  return await generateKeys({
    run_id: policyOf().run_id,
    policy_hash: policyHash(policy),
    suite: "QF2-HYBRID",
    ...EPOCH,
  });
}

async function collecting() {
  const run = await TestRun.open(random);
  const first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
  const devices = run.devices(3);
  const begun = run.begin(1, first, FIRST_MODEL, devices);
  return { run, first, devices, begun };
}

const rotation = (round: number) => ({ first_round: round, valid_ms: EPOCH_MS, at: AT });

describe("the next epoch", () => {
  it("has another key and the same identity, and opens what the open round is sent under the key before", async () => {
    const { run, devices } = await collecting();
    const next = await run.enclave.rotate(rotation(2));
    assert.equal(next.epoch, 2);
    assert.notEqual(hex(next.kem_public_key), hex(run.opened.kem_public_key));
    assert.equal(hex(next.former!.kem_public_key), hex(run.opened.kem_public_key));
    const renewed = new TestRun(run.enclave, run.policy, random, { ...run.opened, ...next });
    const sent = [
      await run.send(devices[0], 1, FIRST_MODEL, DELTA),
      await renewed.send(devices[1], 1, FIRST_MODEL, DELTA),
    ];
    assert.deepEqual(
      sent.map(({ verdict }) => verdict),
      ["kept", "kept"],
    );
    await assert.rejects(run.enclave.rotate(rotation(2)), coded("enclave.state", /needs the key of the epoch before/));
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    assert.notEqual(answer.keys, null);
    run.begin(2, answer.result!, model, devices);
    assert.equal((await run.send(devices[0], 2, model, DELTA)).reason, "update.recipient");
    assert.equal((await renewed.send(devices[0], 2, model, DELTA)).verdict, "kept");
  });

  it("outlives a restart with the key before, where the state is the newest", async () => {
    const { run, first, devices, begun } = await collecting();
    const next = await run.enclave.rotate(rotation(2));
    const again = enclaveOf(random);
    const resume = { keys: next.keys, progress: next.progress };
    await assert.rejects(
      again.open(openingOf(policy, { resume, newest: begun.record })),
      coded("enclave.rollback", /stands at record 4, the log at 3$/),
    );
    const older = { keys: run.opened.keys, progress: next.progress };
    await assert.rejects(
      again.open(openingOf(policy, { resume: older, newest: next.record })),
      coded("enclave.rollback", /its keys are not those/),
    );
    const resumed = await again.open(openingOf(policy, { resume, newest: next.record }));
    assert.deepEqual([resumed.epoch, resumed.former!.round, resumed.latest_round], [2, 1, 0]);
    const twin = new TestRun(again, run.policy, random, run.opened);
    twin.begin(1, first, FIRST_MODEL, devices);
    assert.equal((await twin.send(devices[0], 1, FIRST_MODEL, DELTA)).verdict, "kept");
  });

  it("leaves nothing of the key before, at once between rounds and else with the round that needs it", async () => {
    const between = await keysOf();
    const secret = between.kem_secret_key;
    assert.equal((await rotateKeys(between, { ...EPOCH, epoch: 2 }, null)).former, null);
    assert.ok(secret.every((byte) => byte === 0));
    const within = await keysOf();
    const rotated = await rotateKeys(within, { ...EPOCH, epoch: 2 }, 7);
    assert.equal(hex(epochKeyHash(rotated.former!.kem_public_key)), hex(epochKeyHash(within.kem_public_key)));
    const vault = new Vault(new Uint8Array(32).fill(1), random);
    assert.deepEqual(vault.openKeys(vault.sealKeys(rotated)), rotated);
    assert.ok(within.kem_secret_key.some((byte) => byte !== 0));
    assert.equal(forgetFormer(rotated).former_kem_secret_key, null);
    assert.ok(within.kem_secret_key.every((byte) => byte === 0));
  });
});

describe("the successor of an enclave that is lost", () => {
  it("goes on with the log's chain and the newest model, which it adopts once", async () => {
    const { run, first, devices, begun } = await collecting();
    const successor = enclaveOf(random, 2);
    const start = { epoch: 2, first_round: 2, valid_ms: EPOCH_MS };
    const opened = await successor.open(openingOf(policy, { newest: begun.record, start }));
    assert.deepEqual([opened.epoch, opened.first_round, opened.latest_round], [2, 2, null]);
    const other = FIRST_MODEL.slice();
    other[other.length - 1] ^= 1;
    const request = { statement: first.statement, at: AT };
    assert.throws(() => successor.adopt(request, other), coded("model.signature"));
    const adopted = successor.adopt(request, FIRST_MODEL);
    assert.throws(() => successor.adopt(request, FIRST_MODEL), coded("enclave.state"));
    const twin = new TestRun(successor, run.policy, random, opened);
    assert.throws(() => twin.begin(2, first, FIRST_MODEL, devices), coded("model.signature"));
    assert.doesNotThrow(() => twin.begin(2, adopted, FIRST_MODEL, devices));
  });

  it("is needed: an enclave that began the run adopts nothing", async () => {
    const run = await TestRun.open(random);
    const other = await collecting();
    assert.throws(
      () => run.enclave.adopt({ statement: other.first.statement, at: AT }, FIRST_MODEL),
      coded("enclave.state", /only the successor/),
    );
  });
});

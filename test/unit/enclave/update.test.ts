import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { RowArena } from "../../../src/aggregation/row-arena.ts";
import { concat, lengthPrefixed, u64be, utf8 } from "../../../src/core/bytes.ts";
import { exchangeKem } from "../../../src/crypto/suite.ts";
import { EnclaveRound, type KeptUpdate, membersOf } from "../../../src/enclave/round.ts";
import type { EnclaveAnswer } from "../../../src/wire/enclave.ts";
import { splitModel } from "../../../src/wire/model.ts";
import { reportMessage } from "../../../src/wire/report.ts";
import { epochKeyHash, type Manifest, sealUpdate } from "../../../src/wire/update.ts";
import { seededRandom } from "../../support/clock.ts";
import { AT, deviceOf, FIRST_MODEL, type TestDevice, TestRun } from "../../support/enclave.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";
import { sealTwin } from "../crypto/seal-twin.ts";

const random = seededRandom("enclave updates");
const DELTA = [1, 0, 0, 0, 0, 0];

describe("an update that reaches the enclave", () => {
  let run: TestRun;
  let first: EnclaveAnswer<"genesis">;
  let device: TestDevice;
  let others: TestDevice[];

  before(async () => {
    run = await TestRun.open(random);
    first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
    [device, ...others] = run.devices(3);
  });

  /** In a round of its own. */
  async function judged(changed: Partial<Manifest>, signer = device): Promise<string | null> {
    run.begin(1, first, FIRST_MODEL, [device, ...others]);
    const manifest = { ...run.manifest(device, 1, FIRST_MODEL), ...changed };
    const blob = await run.seal(manifest, DELTA);
    return (await run.enclave.update(run.request(signer, manifest, blob, changed), blob)).reason;
  }

  it("is kept where all holds", async () => assert.equal(await judged({}), null));

  const REFUSALS: readonly (readonly [string, () => Partial<Manifest>, string])[] = [
    ["another round", () => ({ round: 2 }), "round.wrong"],
    ["another run", () => ({ run_id: new Uint8Array(32) }), "round.wrong"],
    ["another policy", () => ({ policy_hash: new Uint8Array(32) }), "round.wrong"],
    ["another base model", () => ({ base_digest: new Uint8Array(32) }), "update.base_model"],
    ["another enclave", () => ({ enclave_key_hash: new Uint8Array(32) }), "update.recipient"],
    ["another blob", () => ({ blob_digest: new Uint8Array(32) }), "update.digest"],
    ["a blob of another length", () => ({ blob_length: 5 }), "update.digest"],
    ["a device outside the cohort", () => ({ device_id: new Uint8Array(16) }), "round.not_selected"],
    ["another device of the cohort", () => ({ device_id: others[0].member.device_id }), "update.signature"],
  ];
  for (const [what, change, reason] of REFUSALS) {
    it(`is refused where it was signed for ${what}`, async () => assert.equal(await judged(change()), reason));
  }

  it("is refused where another device signed it", async () => {
    assert.equal(await judged({}, others[0]), "update.signature");
    assert.equal(await judged({}, deviceOf(random)), "update.signature");
  });

  it("is refused where its manifest is no manifest, and the round goes on", async () => {
    run.begin(1, first, FIRST_MODEL, [device]);
    const request = { manifest: utf8("nonsense"), signature: new Uint8Array(2420), at: AT };
    assert.equal((await run.enclave.update(request, new Uint8Array(1))).reason, "message.malformed");
    assert.equal((await run.send(device, 1, FIRST_MODEL, DELTA)).verdict, "kept");
  });

  it("counts once a device, the first one", async () => {
    run.begin(1, first, FIRST_MODEL, [device, ...others]);
    assert.equal((await run.send(device, 1, FIRST_MODEL, DELTA)).reason, null);
    assert.equal((await run.send(device, 1, FIRST_MODEL, [9, 9, 9, 9, 9, 9])).reason, "update.duplicate");
  });

  it("is unreadable where it was sealed for another place than the one that was signed", async () => {
    run.begin(1, first, FIRST_MODEL, [device, ...others]);
    const manifest = run.manifest(device, 1, FIRST_MODEL);
    const blob = await run.seal({ ...manifest, round: 2 }, DELTA);
    assert.equal((await run.enclave.update(run.request(device, manifest, blob), blob)).reason, "update.unreadable");
  });

  it("is unreadable, and its device has had its say, where the blob is anything else", async () => {
    const manifest = run.manifest(device, 1, FIRST_MODEL);
    const whole = await run.seal(manifest, DELTA);
    const blobs = [
      new Uint8Array(1),
      random.bytes(whole.length),
      whole.slice(0, -1),
      concat(new Uint8Array(32), whole.subarray(32)),
    ];
    for (const blob of blobs) {
      run.begin(1, first, FIRST_MODEL, [device, ...others]);
      const answer = await run.enclave.update(run.request(device, manifest, blob), blob);
      assert.deepEqual([answer.verdict, answer.reason], ["rejected", "update.unreadable"]);
      for (const other of others) await run.send(other, 1, FIRST_MODEL, DELTA);
      assert.equal((await run.send(device, 1, FIRST_MODEL, DELTA)).reason, "update.duplicate");
    }
  });

  it("of another number of parameters is refused by its length", async () => {
    for (const delta of [[], [1], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7]]) {
      run.begin(1, first, FIRST_MODEL, [device]);
      assert.equal((await run.send(device, 1, FIRST_MODEL, delta)).reason, "update.length");
    }
  });

  it("whose last chunk ends inside its tag cannot stop the enclave", async () => {
    run.begin(1, first, FIRST_MODEL, [device]);
    const manifest = run.manifest(device, 1, FIRST_MODEL);
    const { ciphertext, sharedSecret } = await exchangeKem("X25519+FrodoKEM-640-AES").encapsulate(
      run.opened.kem_public_key,
    );
    const { run_id, device_id, base_digest, policy_hash, enclave_key_hash } = manifest;
    const label = utf8("qflare/v1 sealed update");
    const context = lengthPrefixed(label, run_id, u64be(1), device_id, base_digest, policy_hash, enclave_key_hash);
    const sealed = sealTwin(sharedSecret, context, new Uint8Array(4096 + 9), random.bytes(32), 4096);
    const blob = concat(ciphertext, sealed.subarray(0, sealed.length - 20));
    assert.equal((await run.enclave.update(run.request(device, manifest, blob), blob)).reason, "update.unreadable");
  });

  it("that nobody could read stands in the report as rejected, not as missing", async () => {
    run.begin(1, first, FIRST_MODEL, [device, ...others]);
    const manifest = run.manifest(device, 1, FIRST_MODEL);
    const blob = concat(new Uint8Array(32), (await run.seal(manifest, DELTA)).subarray(32));
    await run.enclave.update(run.request(device, manifest, blob), blob);
    for (const other of others) await run.send(other, 1, FIRST_MODEL, DELTA);
    const { result } = run.enclave.aggregate({ round: 1, at: AT }).answer;
    const { updates, missing } = reportMessage.decode(result!.report);
    assert.equal(missing.length, 0);
    const own = updates.find(({ device_id }) => hex(device_id) === hex(device.member.device_id))!;
    assert.deepEqual([own.verdict, own.reason, own.norm], ["rejected", "update.unreadable", null]);
  });
});

describe("a round that is over", () => {
  it("leaves nothing of a sum that is not finite", () => {
    const base = { digest: new Uint8Array(32), file: new Uint8Array(FIRST_MODEL), reputations: [] };
    const round = new EnclaveRound(1, base, new Map(), new RowArena());
    const delta = new Float32Array(6).fill(1);
    delta[5] = 3.5e38;
    assert.throws(() => round.end(delta), coded("aggregation.precondition", /not finite/));
    assert.deepEqual(base.file, new Uint8Array(FIRST_MODEL));
    delta[5] = 1;
    assert.deepEqual(
      splitModel(round.end(delta)).parameters,
      splitModel(FIRST_MODEL).parameters.map((x) => x + 1),
    );
  });

  it("holds no opened update any more: each was overwritten with zeros", async () => {
    const run = await TestRun.open(random);
    const device = deviceOf(random);
    const secretKeys = await exchangeKem("X25519+FrodoKEM-640-AES").generateKeyPair();
    const base = {
      digest: new Uint8Array(32),
      file: new Uint8Array(FIRST_MODEL),
      reputations: [],
    };
    const round = new EnclaveRound(1, base, membersOf([device.member]), new RowArena());
    const manifest = {
      ...run.manifest(device, 1, FIRST_MODEL),
      blob_digest: new Uint8Array(32),
      blob_length: 1,
      enclave_key_hash: epochKeyHash(secretKeys.publicKey),
    };
    const delta = new Uint8Array(24).fill(1);
    const blob = await sealUpdate("QF2-HYBRID", secretKeys.publicKey, manifest, delta, random);
    const keys = {
      v: 1,
      run_id: manifest.run_id,
      policy_hash: manifest.policy_hash,
      suite: "QF2-HYBRID" as const,
      signature_secret_key: new Uint8Array(32),
      signature_public_key: new Uint8Array(1),
      kem_secret_key: secretKeys.secretKey,
      kem_public_key: secretKeys.publicKey,
      epoch: 1,
      not_before: 0,
      not_after: 1,
      first_round: 1,
      former: null,
      former_kem_secret_key: null,
    };
    const kept: KeptUpdate = await round.keep(manifest, blob, keys);
    assert.ok(kept.delta!.every((value) => value !== 0));
    assert.equal(round.updates.length, 1);
    round.forget();
    assert.ok(kept.delta!.every((value) => value === 0));
    assert.equal(round.updates.length, 0);
  });
});

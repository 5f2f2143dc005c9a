import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { appraise } from "../../../src/attestation/appraisal.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { blobDigest, inclusionPath, leafHash } from "../../../src/crypto/merkle.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { enclaveRecord } from "../../../src/wire/audit.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import { modelStatement, splitModel } from "../../../src/wire/model.ts";
import { policyHash, policyMessage } from "../../../src/wire/policy.ts";
import { reportMessage } from "../../../src/wire/report.ts";
import { seededRandom } from "../../support/clock.ts";
import {
  AT,
  enclaveOf,
  FIRST_MODEL,
  modelOf,
  openingOf,
  policyOf,
  type SignedModel,
  type TestDevice,
  TestRun,
} from "../../support/enclave.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("enclave");
const encoded = (changed = {}) => policyMessage.encode(policyOf(changed));

/** A run whose first round has three devices. */
async function collecting(changed = {}) {
  const run = await TestRun.open(random, changed);
  const first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
  const devices = run.devices(3);
  run.begin(1, first, FIRST_MODEL, devices);
  return { run, first, devices };
}

describe("an enclave that opens a run", () => {
  it("makes keys of its own each time, and says how isolated it is", async () => {
    const [a, b] = [await TestRun.open(random), await TestRun.open(random)];
    assert.notEqual(hex(a.opened.kem_public_key), hex(b.opened.kem_public_key));
    assert.notEqual(hex(a.opened.signature_public_key), hex(b.opened.signature_public_key));
    assert.deepEqual([a.opened.isolation, a.opened.epoch], ["none", 1]);
  });

  it("resumes from its sealed state with the same keys, and goes on with its chain", async () => {
    const run = await TestRun.open(random);
    const { progress, record: newest } = run.enclave.genesis({ at: AT }, FIRST_MODEL);
    const again = enclaveOf(random);
    const resumed = await again.open(openingOf(encoded(), { resume: { keys: run.opened.keys, progress }, newest }));
    assert.equal(hex(resumed.kem_public_key), hex(run.opened.kem_public_key));
    assert.equal(hex(resumed.signature_public_key), hex(run.opened.signature_public_key));
    const record = enclaveRecord.decode(resumed.record);
    assert.deepEqual([record.sequence, record.operation, record.outcome], [2, "open", "resumed"]);
    assert.throws(() => again.genesis({ at: AT }, FIRST_MODEL), coded("enclave.state", /first model already/));
  });

  it("opens no state that was sealed under another key, altered, cut, or exchanged", async () => {
    const { opened } = await TestRun.open(random);
    const { keys, progress } = opened;
    const resume = (state: { keys: Uint8Array<ArrayBuffer>; progress: Uint8Array<ArrayBuffer> }, machine = 1) =>
      enclaveOf(random, machine).open(openingOf(encoded(), { resume: state, newest: opened.record }));
    await assert.rejects(resume({ keys, progress }, 2), coded("enclave.state", /sealing key is another/));
    for (const at of [0, 12, keys.length - 1]) {
      const altered = keys.slice();
      altered[at] ^= 1;
      await assert.rejects(resume({ keys: altered, progress }), coded("enclave.state"));
    }
    for (const cut of [keys.slice(0, 1), keys.slice(0, 12), keys.slice(0, -1), keys.slice(1)]) {
      await assert.rejects(resume({ keys: cut, progress }), coded("enclave.state"));
    }
    await assert.rejects(resume({ keys: progress, progress: keys }), coded("enclave.state"));
    await assert.rejects(resume({ keys, progress: keys }), coded("enclave.state"));
  });

  it("opens no state of another run, policy or suite", async () => {
    const { opened } = await TestRun.open(random);
    const other = await TestRun.open(random, { run_id: new Uint8Array(32).fill(6) });
    const { keys, progress } = opened;
    const resume = (policy: Uint8Array<ArrayBuffer>, state: { keys: typeof keys; progress: typeof progress }) =>
      enclaveOf(random).open(openingOf(policy, { resume: state, newest: opened.record }));
    await assert.rejects(
      resume(encoded(), { keys, progress: other.opened.progress }),
      coded("enclave.state", /two runs/),
    );
    await assert.rejects(
      resume(encoded({ updates_min: 1 }), { keys, progress }),
      coded("enclave.state", /run or policy/),
    );
    const otherRun = encoded({ run_id: new Uint8Array(32).fill(6) });
    await assert.rejects(resume(otherRun, { keys, progress }), coded("enclave.state", /run or policy/));
    await assert.rejects(resume(encoded({ suite: "QF1-FRODO" }), { keys, progress }), coded("enclave.state"));
  });

  it("refuses a rule that it does not know before it makes keys", async () => {
    for (const aggregation of ["", "mean", "{", '{"rule":"krumm"}', '{"rule":"mean","f":1}', "[]", "null"]) {
      const opening = enclaveOf(random).open(openingOf(encoded({ aggregation })));
      await assert.rejects(opening, coded("config.invalid"), aggregation);
    }
  });

  it("does nothing before", () => {
    const enclave = enclaveOf(random);
    const nothing = new Uint8Array(1);
    assert.throws(
      () => enclave.attest({ nonces: [new Uint8Array(32)], at: AT }),
      coded("enclave.unavailable", /no run is open$/),
    );
    assert.throws(() => enclave.genesis({ at: AT }, FIRST_MODEL), coded("enclave.unavailable", /no run is open$/));
    assert.throws(() => enclave.aggregate({ round: 1, at: AT }), coded("enclave.unavailable", /no run is open$/));
    const begin = { round: 1, statement: nothing, signature: new Uint8Array(2420), report: null, cohort: [], at: AT };
    assert.throws(() => enclave.begin(begin, FIRST_MODEL), coded("enclave.unavailable", /no run is open$/));
  });
});

describe("the enclave's evidence", () => {
  it("covers its keys, policy and run, and each of the nonces", async () => {
    const run = await TestRun.open(random);
    const nonces = [random.bytes(32), random.bytes(32), random.bytes(32)];
    const { evidence } = run.enclave.attest({ nonces, at: AT });
    for (const [i, nonce] of nonces.entries()) {
      const { ok, enclave } = appraise(evidence, {
        nowMs: AT,
        allowSimulated: true,
        runId: run.policy.run_id,
        policyHash: policyHash(encoded()),
        nonce,
        nonceIndex: i,
        nonceCount: nonces.length,
        noncePath: inclusionPath(nonces.map(leafHash), i),
      });
      assert.ok(ok);
      assert.equal(hex(enclave!.kem_public_key), hex(run.opened.kem_public_key));
    }
  });
});

describe("the first model", () => {
  it("is signed as round 0 for its run and policy", async () => {
    const run = await TestRun.open(random);
    const { statement, signature: signed } = run.enclave.genesis({ at: AT }, FIRST_MODEL);
    assert.ok(signature("ML-DSA-44").verify(run.opened.signature_public_key, statement, signed, CONTEXTS.model));
    const fields = modelStatement.decode(statement);
    assert.equal(hex(fields.model_digest), hex(blobDigest(FIRST_MODEL)));
    assert.deepEqual([fields.round, hex(fields.base_digest)], [0, "0".repeat(64)]);
  });

  it("is refused with a parameter that is not finite", async () => {
    const run = await TestRun.open(random);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const file = modelOf([0, 1, bad, 3, 4, 5]);
      assert.throws(() => run.enclave.genesis({ at: AT }, file), coded("model.malformed", /finite/));
    }
    assert.doesNotThrow(() => run.enclave.genesis({ at: AT }, FIRST_MODEL));
  });

  it("is given once, and in the size of the policy", async () => {
    const run = await TestRun.open(random);
    assert.throws(
      () => run.enclave.genesis({ at: AT }, modelOf([1, 2])),
      coded("model.malformed", /expected 6 .*got 2$/),
    );
    assert.throws(() => run.enclave.genesis({ at: AT }, new Uint8Array(3)), coded("model.malformed"));
    run.enclave.genesis({ at: AT }, FIRST_MODEL);
    assert.throws(() => run.enclave.genesis({ at: AT }, FIRST_MODEL), coded("enclave.state", /first model already/));
  });
});

describe("a round", () => {
  it("begins on the newest model alone: no older one, no other one, no other's signature", async () => {
    const { run, first, devices } = await collecting();
    for (const device of devices) await run.send(device, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    const second: SignedModel = answer.result!;
    assert.throws(() => run.begin(2, first, FIRST_MODEL, devices), coded("enclave.state", /signed last/));
    assert.throws(() => run.begin(2, first, model, devices), coded("model.signature", /another model/));
    assert.throws(() => run.begin(2, second, FIRST_MODEL, devices), coded("model.signature", /another model/));
    assert.throws(() => run.begin(1, second, model, devices), coded("enclave.state", /signed last/));
    const forged = { statement: second.statement, signature: first.signature };
    assert.throws(() => run.begin(2, forged, model, devices), coded("model.signature"));
    const foreign = await TestRun.open(random);
    const theirs = foreign.enclave.genesis({ at: AT }, FIRST_MODEL);
    assert.throws(() => run.begin(2, theirs, FIRST_MODEL, devices), coded("model.signature"));
    assert.doesNotThrow(() => run.begin(2, second, model, devices));
  });

  it("takes no device under an id that is not the hash of its keys", async () => {
    const { run, first, devices } = await collecting();
    const [honest, other] = devices;
    const borrowed = { ...other, member: { ...other.member, device_id: honest.member.device_id } };
    assert.throws(() => run.begin(1, first, FIRST_MODEL, [borrowed]), coded("message.malformed", /hash of its keys/));
    const swapped = { ...honest, member: { ...honest.member, kem_key_hash: other.member.kem_key_hash } };
    assert.throws(() => run.begin(1, first, FIRST_MODEL, [swapped]), coded("message.malformed"));
    assert.equal((await run.send(honest, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0])).verdict, "kept");
  });

  it("ends in the mean of its updates, and a report of who was counted and who was missing", async () => {
    const { run, devices } = await collecting();
    const [a, b, c] = devices;
    await run.send(a, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    await run.send(b, 1, FIRST_MODEL, [3, 0, 0, 0, 0, 2]);
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    assert.deepEqual([...splitModel(model).parameters], [2, 1, 2, 3, 4, 6]);
    const { statement, report } = answer.result!;
    const fields = modelStatement.decode(statement);
    assert.equal(hex(fields.model_digest), hex(blobDigest(model)));
    assert.equal(hex(fields.base_digest), hex(blobDigest(FIRST_MODEL)));
    assert.equal(hex(fields.report_digest), hex(sha256(report)));
    const { updates, missing } = reportMessage.decode(report);
    const ids = [a, b].map(({ member }) => hex(member.device_id)).sort();
    assert.deepEqual(
      updates.map(({ device_id, verdict }) => [hex(device_id), verdict]),
      ids.map((id) => [id, "accepted"]),
    );
    assert.deepEqual(missing.map(hex), [hex(c.member.device_id)]);
  });

  it("gives the same model whatever the order in which updates came", async () => {
    const deltas = [
      [1e8, 0, 0, 0, 0, 1],
      [-1e8, 0, 0, 0, 0, 1],
      [1, 0, 0, 0, 0, 1],
    ];
    const { run, first, devices } = await collecting({ norm_max: 1e9 });
    const models: string[] = [];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const again = enclaveOf(random);
      const resume = { keys: run.opened.keys, progress: first.progress };
      const opened = await again.open(openingOf(encoded({ norm_max: 1e9 }), { resume, newest: first.record }));
      const twin = new TestRun(again, run.policy, random, opened);
      twin.begin(1, first, FIRST_MODEL, devices);
      for (const i of order) await twin.send(devices[i], 1, FIRST_MODEL, deltas[i]);
      models.push(hex(twin.enclave.aggregate({ round: 1, at: AT }).model));
    }
    assert.equal(new Set(models).size, 1);
  });

  it("ends without a model where too few updates stand, and leaves the model before in force", async () => {
    const { run, first, devices } = await collecting();
    await run.send(devices[0], 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    assert.deepEqual([answer.result, model.length], [null, 0]);
    assert.match(answer.failure!, /^Cannot aggregate/);
    await assert.rejects(run.send(devices[1], 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]), coded("round.closed"));
    assert.throws(() => run.enclave.aggregate({ round: 1, at: AT }), coded("round.closed"));
    assert.doesNotThrow(() => run.begin(2, first, FIRST_MODEL, devices));
  });

  it("ends under its own number alone", async () => {
    const { run } = await collecting();
    assert.throws(() => run.enclave.aggregate({ round: 2, at: AT }), coded("round.wrong", /expected 1, got 2/));
  });

  it("keeps bad updates out of the mean and names the reason of each", async () => {
    const { run, devices } = await collecting({ norm_max: 10 });
    const [a, b, c] = devices;
    await run.send(a, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    await run.send(b, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    await run.send(c, 1, FIRST_MODEL, [1, 0, Number.NaN, 0, 0, 0]);
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    assert.deepEqual([...splitModel(model).parameters], [1, 1, 2, 3, 4, 5]);
    const { updates } = reportMessage.decode(answer.result!.report);
    const bad = updates.find(({ device_id }) => hex(device_id) === hex(c.member.device_id))!;
    assert.deepEqual([bad.verdict, bad.reason, bad.weight], ["rejected", "update.not_finite", 0]);
  });

  it("writes a report for updates of any numbers: none can stop the others", async () => {
    const nasty = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, -3.4e38, 2 ** -149];
    for (const value of nasty) {
      const { run, devices } = await collecting();
      await run.send(devices[0], 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
      await run.send(devices[1], 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
      await run.send(devices[2], 1, FIRST_MODEL, Array<number>(6).fill(value), Number.MAX_SAFE_INTEGER);
      const { answer } = run.enclave.aggregate({ round: 1, at: AT });
      assert.equal(answer.failure, null, `${value}`);
      assert.equal(reportMessage.decode(answer.result!.report).updates.length, 3);
    }
  });
});

describe("the report", () => {
  /** One round of the devices with these updates: the signed model, its file and the report. */
  async function roundOf(
    run: TestRun,
    number: number,
    base: SignedModel & { file: Uint8Array },
    deltas: Map<TestDevice, number[]>,
  ) {
    run.begin(number, base, base.file, [...deltas.keys()]);
    for (const [device, delta] of deltas) await run.send(device, number, base.file, delta);
    const { answer, model } = run.enclave.aggregate({ round: number, at: AT });
    const { statement, signature, report } = answer.result!;
    return { statement, signature, report, file: model };
  }

  it("carries reputations from round to round, by which nobody is judged", async () => {
    const aggregation = JSON.stringify({ rule: "mean", before: [{ rule: "norm-reject", factor: 2 }] });
    const run = await TestRun.open(random, { aggregation });
    const [a, b, c, liar] = run.devices(4);
    const first = { ...run.enclave.genesis({ at: AT }, FIRST_MODEL), file: FIRST_MODEL };
    const one = [1, 0, 0, 0, 0, 0];
    const lie = one.map((value) => 50 * value);
    const round1 = await roundOf(
      run,
      1,
      first,
      new Map([
        [a, one],
        [b, one],
        [c, one],
        [liar, lie],
      ]),
    );
    const round2 = await roundOf(
      run,
      2,
      round1,
      new Map([
        [a, one],
        [b, one],
        [liar, one],
      ]),
    );
    const { reputations, updates } = reportMessage.decode(round2.report);
    const of = ({ member }: TestDevice): number =>
      reputations.find(({ device_id }) => hex(device_id) === hex(member.device_id))!.reputation;
    const [known, missing, lied] = [a, c, liar].map(of);
    assert.deepEqual(
      [known, missing, lied].map((value) => value.toFixed(3)),
      ["0.595", "0.550", "0.505"],
    );
    assert.ok(updates.every(({ verdict }) => verdict === "accepted"));
  });

  it("must come back with the model that it was signed with", async () => {
    const { run, first, devices } = await collecting();
    const [x, y] = devices;
    for (const device of [x, y]) await run.send(device, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    const { statement, signature: signed, report } = answer.result!;
    const other = coded("model.signature", /report/);
    const altered = report.slice();
    altered[altered.length - 1] ^= 1;
    assert.throws(() => run.begin(2, { statement, signature: signed }, model, devices), other);
    assert.throws(() => run.begin(2, { statement, signature: signed, report: altered }, model, devices), other);
    assert.doesNotThrow(() => run.begin(2, { statement, signature: signed, report }, model, devices));
    assert.notEqual(hex(first.statement), hex(statement));
  });

  it("says what a preset stood for, and what the rule made of each update", async () => {
    const { run, devices } = await collecting({ aggregation: JSON.stringify({ rule: "backdoor" }) });
    for (const device of devices) await run.send(device, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0]);
    const { answer } = run.enclave.aggregate({ round: 1, at: AT });
    const { aggregation, updates } = reportMessage.decode(answer.result!.report);
    const expected = { rule: "dnc", f: 0, before: [{ rule: "norm-reject", factor: 5 }] };
    assert.deepEqual(JSON.parse(aggregation), expected);
    assert.deepEqual(
      updates.map(({ score }) => score),
      [0, 0, 0],
    );
  });

  it("comes of each layer by itself where the policy says so", async () => {
    const spans = {
      a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
      b: { dtype: "F32", shape: [4], data_offsets: [8, 24] },
    };
    const file = modelOf([0, 0, 0, 0, 0, 0], JSON.stringify(spans).padEnd(160));
    const aggregation = JSON.stringify({ rule: "krum", f: 0, layerwise: true });
    const run = await TestRun.open(random, { aggregation });
    const devices = run.devices(3);
    run.begin(1, run.enclave.genesis({ at: AT }, file), file, devices);
    const deltas = [
      [1, 1, 9, 0, 0, 0],
      [1, 2, 1, 1, 1, 1],
      [9, 9, 1, 1, 1, 2],
    ];
    for (const [i, device] of devices.entries()) await run.send(device, 1, file, deltas[i]);
    const { answer, model } = run.enclave.aggregate({ round: 1, at: AT });
    assert.equal(answer.failure, null);
    const [a, b] = [splitModel(model).parameters.slice(0, 2), splitModel(model).parameters.slice(2)];
    assert.ok(a[0] === 1 && a[1] <= 2);
    assert.ok(b[0] === 1 && b[3] <= 2);
  });
});

describe("the enclave's audit records", () => {
  it("name each operation with its outcome, one behind the other by hash", async () => {
    const run = await TestRun.open(random);
    const records = [run.opened.record];
    const first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
    const devices = run.devices(2);
    records.push(first.record, run.enclave.attest({ nonces: [random.bytes(32)], at: AT }).record);
    records.push(run.begin(1, first, FIRST_MODEL, devices).record);
    for (const device of devices) records.push((await run.send(device, 1, FIRST_MODEL, [1, 0, 0, 0, 0, 0])).record);
    records.push((await run.send(devices[0], 1, FIRST_MODEL, [9, 0, 0, 0, 0, 0])).record);
    const { answer } = run.enclave.aggregate({ round: 1, at: AT });
    records.push(answer.record);
    let previous: Uint8Array = new Uint8Array(32);
    for (const [i, bytes] of records.entries()) {
      const record = enclaveRecord.decode(bytes);
      assert.equal(record.sequence, i);
      assert.equal(hex(record.previous), hex(previous));
      previous = sha256(bytes);
    }
    const seen = records
      .map((bytes) => enclaveRecord.decode(bytes))
      .map((r) => `${r.operation} ${r.round} ${r.outcome}`);
    assert.deepEqual(seen, [
      ...["open 0 new", "genesis 0 done", "attest 0 done", "begin 1 done", "update 1 kept", "update 1 kept"],
      ...["update 1 update.duplicate", "aggregate 1 done"],
    ]);
    const head = hex(reportMessage.decode(answer.result!.report).enclave_audit_head);
    assert.equal(head, hex(enclaveRecord.decode(answer.record).previous));
  });

  it("name the enclave by its signature key", async () => {
    const { opened } = await TestRun.open(random);
    assert.equal(hex(enclaveRecord.decode(opened.record).subject), hex(sha256(opened.signature_public_key)));
  });
});

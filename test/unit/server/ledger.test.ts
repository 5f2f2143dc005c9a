import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { sha256 } from "../../../src/crypto/hash.ts";
import { cohortOf, type ModelRow, type RoundRow, receiptOf, type SignedManifest } from "../../../src/server/ledger.ts";
import { manifestMessage } from "../../../src/wire/update.ts";
import { coded } from "../../support/errors.ts";
import { TestServer } from "../../support/parts.ts";
import { hex } from "../crypto/hex.ts";

const bytes = (fill: number, length = 32) => new Uint8Array(length).fill(fill);

const model = (round: number): ModelRow => ({
  digest: bytes(round + 1),
  round,
  blob_digest: bytes(round + 101),
  blob_length: 10,
  content_key: bytes(3),
  statement: bytes(4),
  signature: bytes(5),
  published_at: 1,
});

function manifestOf(
  server: TestServer,
  deviceId: Uint8Array<ArrayBuffer>,
  round: number,
  sequence: number,
): SignedManifest {
  const manifest = {
    v: 1,
    run_id: server.runId,
    round,
    device_id: deviceId,
    base_digest: bytes(1),
    policy_hash: bytes(2),
    enclave_key_hash: bytes(3),
    blob_digest: bytes(sequence),
    blob_length: 7,
    encoding: "f32" as const,
    examples: 1,
    sequence,
  };
  return { manifest, encoded: manifestMessage.encode(manifest), signature: bytes(9, 2420) };
}

/** A server whose round 1 collects from two devices. */
async function collecting(context: TestContext) {
  const server = await TestServer.start(context);
  const devices = [(await server.enrolled("a")).device_id, (await server.enrolled("b")).device_id];
  await server.writer.write((tx) => server.ledger.addModel(tx, model(0)));
  const opened = await server.ledger.openRound(model(0), 1);
  const row = await server.ledger.startCollecting(opened, devices, server.clock.nowMs() + 1000);
  return { server, ledger: server.ledger, devices, opened, row };
}

describe("a round in the ledger", () => {
  it("goes from selecting over collecting and aggregating to published, and is read back so", async (context) => {
    const { server, ledger, devices, row } = await collecting(context);
    assert.deepEqual(cohortOf(row).map(hex), devices.map(hex));
    const aggregating = await ledger.startAggregating(await ledger.extendDeadline(row, 5));
    const published = await server.writer.write((tx) =>
      ledger.publish(tx, aggregating, { model: model(1), report: bytes(8), isLast: true }),
    );
    const stored = (await ledger.newestRound())!;
    assert.deepEqual({ ...stored }, published);
    assert.deepEqual([stored.state, stored.version, stored.deadline_at], ["published", 5, 5]);
    assert.deepEqual([await ledger.countPublished(), (await ledger.newestModel())!.round], [1, 1]);
    assert.equal(hex((await ledger.modelOfRound(0))!.digest), hex(model(0).digest));
    assert.deepEqual([await ledger.hasModelBlob(bytes(102)), await ledger.hasModelBlob(bytes(103))], [true, false]);
  });

  it("is changed by one of those who read it at the same version", async (context) => {
    const { server, ledger, row } = await collecting(context);
    const changes = [ledger.startAggregating(row), ledger.startAggregating(row), ledger.fail(row, "late")];
    const results = await Promise.allSettled(changes);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected"],
    );
    for (const result of results.slice(1))
      assert.ok(coded("server.unavailable")((result as PromiseRejectedResult).reason));
    assert.equal((await ledger.newestRound())!.state, "aggregating");
    const failures = await server.db.selectFrom("audit").select("entry").execute();
    assert.ok(
      failures.every(({ entry }) => !Buffer.from(entry).includes("round.failed")),
      "an entry about what was not",
    );
  });

  it("that another one has published leaves no second model and no entry behind", async (context) => {
    const { server, ledger, row } = await collecting(context);
    await server.writer.write((tx) => ledger.publish(tx, row, { model: model(1), report: bytes(8), isLast: true }));
    const entries = await server.entries();
    const stale: RoundRow = { ...row };
    const again = server.writer.write((tx) =>
      ledger.publish(tx, stale, { model: { ...model(2), round: 2 }, report: bytes(8), isLast: true }),
    );
    await assert.rejects(again, coded("server.unavailable"));
    assert.equal((await ledger.newestModel())!.round, 1);
    assert.equal(await server.entries(), entries);
  });

  it("keeps blobs in use: models for ever, updates until the round is closed", async (context) => {
    const { ledger, devices, server, row } = await collecting(context);
    await ledger.accept(manifestOf(server, devices[0], 1, 1));
    assert.deepEqual((await ledger.blobsInUse()).map(hex).sort(), [hex(bytes(1)), hex(bytes(101))].sort());
    assert.deepEqual(await Promise.all([1, 101].map((name) => ledger.isBlobInUse(bytes(name)))), [true, true]);
    await ledger.fail(row, "nobody came");
    assert.deepEqual((await ledger.blobsInUse()).map(hex), [hex(bytes(101))]);
    assert.deepEqual((await ledger.blobsOf(1)).map(hex), [hex(bytes(1))]);
    assert.deepEqual(await Promise.all([1, 101].map((name) => ledger.isBlobInUse(bytes(name)))), [false, true]);
  });
});

describe("an accepted update", () => {
  it("gives the same row and receipt when it is sent again, at once or after the round", async (context) => {
    const { server, ledger, devices, row } = await collecting(context);
    const signed = manifestOf(server, devices[0], 1, 1);
    const rows = await Promise.all(Array.from({ length: 20 }, () => ledger.accept(signed)));
    const receipts = rows.map((r) =>
      JSON.stringify(receiptOf(r, server.runId), (_, v) => (v instanceof Uint8Array ? hex(v) : v)),
    );
    assert.equal(new Set(receipts).size, 1);
    assert.equal((await ledger.updatesOf(1)).length, 1);
    await ledger.fail(row, "over");
    assert.deepEqual((await ledger.accept(signed)).audit_index, rows[0].audit_index);
    const entry = await server.db
      .selectFrom("audit")
      .selectAll()
      .where("position", "=", rows[0].audit_index)
      .executeTakeFirst();
    assert.ok(Buffer.from(entry!.entry).includes(sha256(signed.encoded)));
  });

  it("is the only one of its device in its round", async (context) => {
    const { server, ledger, devices } = await collecting(context);
    await ledger.accept(manifestOf(server, devices[0], 1, 1));
    await assert.rejects(ledger.accept(manifestOf(server, devices[0], 1, 2)), coded("update.duplicate"));
    await assert.doesNotReject(ledger.accept(manifestOf(server, devices[1], 1, 1)));
  });

  it("is one where 50 different ones of a device come at once", async (context) => {
    const { server, ledger, devices } = await collecting(context);
    const signed = Array.from({ length: 50 }, (_, i) => manifestOf(server, devices[0], 1, i + 1));
    const results = await Promise.allSettled(signed.map((one) => ledger.accept(one)));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await ledger.updatesOf(1)).length, 1);
  });

  it("must be newer than any before it of its device", async (context) => {
    const { server, ledger, devices, row } = await collecting(context);
    await ledger.accept(manifestOf(server, devices[0], 1, 5));
    const failed = await ledger.fail(row, "over");
    assert.equal(failed.state, "failed");
    await ledger.startCollecting(await ledger.openRound(model(0), 2), devices, 1);
    for (const sequence of [4, 5]) {
      await assert.rejects(ledger.accept(manifestOf(server, devices[0], 2, sequence)), coded("update.sequence"));
    }
    await assert.doesNotReject(ledger.accept(manifestOf(server, devices[0], 2, 6)));
  });

  it("needs a round that collects, and leaves nothing behind where there is none", async (context) => {
    const { server, ledger, devices, row } = await collecting(context);
    await assert.rejects(ledger.accept(manifestOf(server, devices[0], 2, 1)), coded("round.closed", /unknown$/));
    await ledger.startAggregating(row);
    const entries = await server.entries();
    await assert.rejects(ledger.accept(manifestOf(server, devices[0], 1, 1)), coded("round.closed", /aggregating$/));
    assert.equal(await server.entries(), entries);
    const { sequence } = await server.db
      .selectFrom("devices")
      .select("sequence")
      .where("id", "=", devices[0])
      .executeTakeFirstOrThrow();
    assert.equal(sequence, 0);
    assert.equal(await ledger.findUpdate(1, devices[0]), undefined);
  });
});

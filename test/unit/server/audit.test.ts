import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { toHex } from "../../../src/core/bytes.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { leafHash } from "../../../src/crypto/merkle.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { type AuditSummary, verifyAudit } from "../../../src/server/audit-verify.ts";
import { ModelVault } from "../../../src/server/models.ts";
import { BlobStore } from "../../../src/server/store/blobs.ts";
import { auditEntry, checkpointMessage, signedCheckpoint } from "../../../src/wire/audit.ts";
import type { EnclaveAnswer } from "../../../src/wire/enclave.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import { manifestMessage } from "../../../src/wire/update.ts";
import { AT, FIRST_MODEL, TestRun } from "../../support/enclave.ts";
import { TestServer } from "../../support/parts.ts";

/** A whole run over two rounds in one process, as its log and ledger hold it. */
async function finishedRun(context: TestContext): Promise<TestServer> {
  const server = await TestServer.start(context);
  const run = await TestRun.open(server.random, { run_id: server.runId });
  const blobs = new BlobStore(`${server.folder}/blobs`, server.random);
  await blobs.prepare();
  const vault = new ModelVault(blobs, server.random, server.clock);
  const record = (answer: { record: Uint8Array<ArrayBuffer> }) =>
    server.writer.write((tx) => server.audit.appendEnclaveRecord(tx, answer.record));
  const stored = { id: 1, run_id: server.runId, policy: new Uint8Array(1), plan: "", enclave_keys: null };
  const enclave = { enclave_progress: null, enclave_public_key: run.opened.signature_public_key };
  await server.db
    .insertInto("run")
    .values({ ...stored, ...enclave })
    .execute();
  await record(run.opened);
  const first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
  await record(first);
  let base = await vault.store(first, 0, FIRST_MODEL);
  await server.writer.write((tx) => server.ledger.addModel(tx, base));
  const members = run.devices(2);
  for (const [i, { member }] of members.entries()) await addDevice(server, `d${i}`, member);
  let [signed, file]: [EnclaveAnswer<"genesis">, Uint8Array] = [first, FIRST_MODEL];
  for (const round of [1, 2]) {
    const opened = await server.ledger.openRound(base, round);
    const row = await server.ledger.startCollecting(
      opened,
      members.map(({ member }) => member.device_id),
      AT,
    );
    await record(run.begin(round, signed, file, members));
    for (const device of members) {
      const manifest = run.manifest(device, round, file);
      const blob = await run.seal(manifest, [1, 0, 0, 0, 0, 0]);
      const request = run.request(device, manifest, blob);
      const fields = manifestMessage.decode(request.manifest);
      await server.ledger.accept({ manifest: fields, encoded: request.manifest, signature: request.signature });
      await record(await run.enclave.update(request, blob));
    }
    const { answer, model } = run.enclave.aggregate({ round, at: AT });
    await record(answer);
    base = await vault.store(answer.result!, round, model);
    await server.writer.write((tx) =>
      server.ledger.publish(tx, row, { model: base, report: answer.result!.report, isLast: true }),
    );
    await server.audit.checkpoint(server.writer);
    [signed, file] = [{ ...answer, ...answer.result! }, model];
  }
  return server;
}

async function addDevice(
  { db }: TestServer,
  name: string,
  {
    device_id,
    signature_public_key,
  }: { device_id: Uint8Array<ArrayBuffer>; signature_public_key: Uint8Array<ArrayBuffer> },
): Promise<void> {
  const keys = { id: device_id, kem_public_key: new Uint8Array(1), signature_public_key };
  await db
    .insertInto("devices")
    .values({ ...keys, name, state: "active", enrolled_at: 0, sequence: 0 })
    .execute();
}

const verified = ({ db, keys }: TestServer): Promise<AuditSummary> => verifyAudit(db, [keys.signaturePublicKey]);

const altered = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(bytes, (byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));

type Tampering = (server: TestServer) => Promise<unknown>;

async function rewriteEntry(
  { db }: TestServer,
  position: number,
  change: (entry: Uint8Array) => Uint8Array<ArrayBuffer>,
) {
  const { entry } = await db
    .selectFrom("audit")
    .select("entry")
    .where("position", "=", position)
    .executeTakeFirstOrThrow();
  const changed = change(entry);
  await db
    .updateTable("audit")
    .set({ entry: changed, leaf_hash: leafHash(changed) })
    .where("position", "=", position)
    .execute();
}

async function positionOf({ db }: TestServer, type: string): Promise<number> {
  const rows = await db.selectFrom("audit").selectAll().orderBy("position").execute();
  return rows.find(({ entry }) => auditEntry.decode(entry).type === type)!.position;
}

const TAMPERINGS: Readonly<Record<string, readonly [Tampering, RegExp]>> = {
  "an entry was altered": [
    async ({ db }) => {
      const { entry } = await db
        .selectFrom("audit")
        .select("entry")
        .where("position", "=", 3)
        .executeTakeFirstOrThrow();
      await db
        .updateTable("audit")
        .set({ entry: altered(entry) })
        .where("position", "=", 3)
        .execute();
    },
    /^entry 3 differs from its leaf$/,
  ],
  "an entry was altered with its leaf": [
    (server) => rewriteEntry(server, 3, (entry) => auditEntry.encode({ ...auditEntry.decode(entry), at: 1 })),
    /has another root than the log$/,
  ],
  "an entry is no entry": [(server) => rewriteEntry(server, 3, () => Uint8Array.of(0)), /^entry 3 cannot be read$/],
  "an entry in the middle is gone": [
    ({ db }) => db.deleteFrom("audit").where("position", "=", 4).execute(),
    /^entry 4 is missing$/,
  ],
  "the newest entries are gone": [
    ({ db }) => db.deleteFrom("audit").where("position", ">", 10).execute(),
    /the log holds 11$/,
  ],
  "two entries were exchanged": [
    async ({ db }) => {
      const rows = await db
        .selectFrom("audit")
        .selectAll()
        .where("position", "in", [3, 4])
        .orderBy("position")
        .execute();
      for (const [i, row] of rows.reverse().entries()) {
        const { entry, leaf_hash } = row;
        await db
          .updateTable("audit")
          .set({ entry, leaf_hash })
          .where("position", "=", 3 + i)
          .execute();
      }
    },
    /has another root than the log$/,
  ],
  "a checkpoint was signed by another": [
    async ({ db, runId }) => {
      const { size, signed } = await db.selectFrom("checkpoints").selectAll().orderBy("size").executeTakeFirstOrThrow();
      const fields = checkpointMessage.decode(signedCheckpoint.decode(signed).checkpoint);
      const checkpoint = checkpointMessage.encode({ ...fields, run_id: runId });
      const stranger = signature("ML-DSA-44").generateKeyPair();
      const forged = signature("ML-DSA-44").sign(stranger.secretKey, checkpoint, CONTEXTS.checkpoint);
      const encoded = signedCheckpoint.encode({ checkpoint, signature: forged });
      await db.updateTable("checkpoints").set({ signed: encoded }).where("size", "=", size).execute();
    },
    /is not signed by the server$/,
  ],
  "a checkpoint is no checkpoint": [
    ({ db }) =>
      db
        .updateTable("checkpoints")
        .set({ signed: Uint8Array.of(1) })
        .execute(),
    /^checkpoint of \d+ entries cannot be read$/,
  ],
  "a checkpoint stands under another size": [
    ({ db }) =>
      db
        .updateTable("checkpoints")
        .set((row) => ({ size: row("size", "-", 1) }))
        .execute(),
    /another root|the log holds/,
  ],
  "a record of the enclave was left out": [
    async (server) => {
      const position = await positionOf(server, "enclave.operation");
      await rewriteEntry(server, position, (entry) =>
        auditEntry.encode({ ...auditEntry.decode(entry), type: "token.created", data: new Uint8Array(0) }),
      );
    },
    /^enclave record 0 does not follow the one before it$/,
  ],
  "another enclave's key was put in": [
    ({ db }) =>
      db
        .updateTable("run")
        .set({ enclave_public_key: signature("ML-DSA-44").generateKeyPair().publicKey })
        .execute(),
    /names another enclave key$/,
  ],
  "an accepted update is gone": [
    ({ db }) => db.deleteFrom("updates").where("round", "=", 1).execute(),
    /^the log has 4 accepted updates, the ledger 2$/,
  ],
  "an update's manifest was altered": [
    async ({ db }) => {
      const { manifest } = await db.selectFrom("updates").select("manifest").executeTakeFirstOrThrow();
      await db
        .updateTable("updates")
        .set({ manifest: altered(manifest) })
        .where("manifest", "=", manifest)
        .execute();
    },
    /is not in the log where its receipt says$/,
  ],
  "an update's signature was altered": [
    ({ db }) =>
      db
        .updateTable("updates")
        .set({ signature: new Uint8Array(2420) })
        .where("round", "=", 1)
        .execute(),
    /is not signed by its device$/,
  ],
  "a device's key was exchanged": [
    ({ db }) =>
      db
        .updateTable("devices")
        .set({ signature_public_key: signature("ML-DSA-44").generateKeyPair().publicKey })
        .execute(),
    /is not signed by its device$/,
  ],
  "an update was moved to another round": [
    ({ db }) => db.updateTable("updates").set({ round: 3 }).where("round", "=", 1).execute(),
    /was signed for another round$/,
  ],
  "a model's statement was altered": [
    async ({ db }) => {
      const { statement } = await db
        .selectFrom("models")
        .select("statement")
        .where("round", "=", 1)
        .executeTakeFirstOrThrow();
      await db
        .updateTable("models")
        .set({ statement: altered(statement) })
        .where("round", "=", 1)
        .execute();
    },
    /^model of round 1 is not signed by the enclave$/,
  ],
  "a model was exchanged for another signed one": [
    async ({ db }) => {
      const first = await db.selectFrom("models").selectAll().where("round", "=", 1).executeTakeFirstOrThrow();
      const { statement, signature: signed, digest } = first;
      await db.updateTable("models").set({ statement, signature: signed, digest }).where("round", "=", 2).execute();
    },
    /^model of round 2 has a statement about another one$/,
  ],
  "a model in the line is gone": [
    ({ db }) => db.deleteFrom("models").where("round", "=", 1).execute(),
    /^model of round 2 does not stand on the one before$/,
  ],
  "a round's report was altered": [
    async ({ db }) => {
      const { report } = await db
        .selectFrom("rounds")
        .select("report")
        .where("round", "=", 1)
        .executeTakeFirstOrThrow();
      await db
        .updateTable("rounds")
        .set({ report: altered(report!) })
        .where("round", "=", 1)
        .execute();
    },
    /^model of round 1 has another report than the one that was signed$/,
  ],
  "a round's report is gone": [
    ({ db }) => db.updateTable("rounds").set({ report: null }).where("round", "=", 2).execute(),
    /^model of round 2 has another report/,
  ],
};

describe("the audit log", () => {
  it("of a whole run verifies, and counts what it holds", async (context) => {
    const { problems, ...counts } = await verified(await finishedRun(context));
    assert.deepEqual(problems, []);
    assert.deepEqual(
      { ...counts, entries: 0, root: "" },
      { ok: true, entries: 0, updates: 4, models: 3, checkpoints: 2, root: "" },
    );
    assert.match(counts.root, /^[0-9a-f]{64}$/);
  });

  it("that is empty verifies, with the root of nothing", async (context) => {
    const { ok, entries, root } = await verified(await TestServer.start(context));
    assert.deepEqual([ok, entries, root], [true, 0, toHex(sha256())]);
  });

  for (const [what, [tamper, problem]] of Object.entries(TAMPERINGS)) {
    it(`does not verify where ${what}`, async (context) => {
      const server = await finishedRun(context);
      await tamper(server);
      const { ok, problems } = await verified(server);
      assert.equal(ok, false);
      assert.ok(
        problems.some((text) => problem.test(text)),
        `expected ${problem}, got ${problems.join("; ")}`,
      );
    });
  }

  it("verifies under the server's own key alone", async (context) => {
    const { db } = await finishedRun(context);
    const { problems } = await verifyAudit(db, [signature("ML-DSA-44").generateKeyPair().publicKey]);
    assert.deepEqual(
      problems.map((text) => text.replace(/\d+/, "N")),
      Array(2).fill("checkpoint of N entries is not signed by the server"),
    );
  });

  it("gets checkpoints at the same time that all hold", async (context) => {
    const server = await finishedRun(context);
    const append = () =>
      server.writer.write((tx) =>
        server.audit.append(tx, { type: "run.opened", subject: "x", digest: new Uint8Array(32) }),
      );
    await Promise.all([append(), append(), append()]);
    await Promise.all([server.audit.checkpoint(server.writer), append(), server.audit.checkpoint(server.writer)]);
    await server.audit.checkpoint(server.writer);
    assert.deepEqual((await verified(server)).problems, []);
  });

  it("goes on after a restart: a log that knows nothing yet signs the whole tree", async (context) => {
    const server = await finishedRun(context);
    const restarted = new TestServer(server.folder, server.db);
    await restarted.audit.checkpoint(server.writer);
    const { problems } = await verifyAudit(server.db, [restarted.keys.signaturePublicKey]);
    assert.equal(
      problems.some((text) => text.includes("root")),
      false,
    );
  });
});

import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { toHex } from "../../../src/core/bytes.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { AuditLog } from "../../../src/server/audit.ts";
import { type AuditSummary, verifyAudit } from "../../../src/server/audit-verify.ts";
import { countEntries } from "../../../src/server/log-store.ts";
import { ModelVault } from "../../../src/server/models.ts";
import { BlobStore } from "../../../src/server/store/blobs.ts";
import { Writer } from "../../../src/server/store/writer.ts";
import { auditEntry, type EnclaveRecord, enclaveRecord } from "../../../src/wire/audit.ts";
import { logOrigin } from "../../../src/wire/checkpoint.ts";
import type { EnclaveAnswer } from "../../../src/wire/enclave.ts";
import { policyHash, policyMessage } from "../../../src/wire/policy.ts";
import { manifestMessage } from "../../../src/wire/update.ts";
import { strictLog } from "../../support/clock.ts";
import { AT, FIRST_MODEL, TestRun } from "../../support/enclave.ts";
import { coded } from "../../support/errors.ts";
import { entryAt, putEntry, rewrite, signAnew } from "../../support/forger.ts";
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
  const policy = policyMessage.encode(run.policy);
  const stored = { id: 1, run_id: server.runId, policy, plan: "", enclave_keys: null };
  const enclave = { enclave_progress: null, enclave_public_key: run.opened.signature_public_key };
  await server.db
    .insertInto("run")
    .values({ ...stored, ...enclave })
    .execute();
  await record(run.opened);
  const first = run.enclave.genesis({ at: AT }, FIRST_MODEL);
  await record(first);
  await vault.storing(async (store) => {
    const model = await store(first, 0, FIRST_MODEL);
    await server.writer.write(async (tx) => {
      await server.audit.append(tx, { type: "run.opened", subject: "run", digest: policyHash(policy) });
      await server.ledger.addModel(tx, model);
    });
  });
  const members = run.devices(2);
  for (const [i, { member }] of members.entries()) await addDevice(server, `d${i}`, member);
  let [signed, file]: [EnclaveAnswer<"genesis">, Uint8Array] = [first, FIRST_MODEL];
  for (const round of [1, 2]) {
    const opened = await server.ledger.openRound((await server.ledger.newestModel())!, round);
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
    const { report } = answer.result!;
    await vault.storing(async (store) => {
      const stored = await store(answer.result!, round, model);
      await server.writer.write((tx) => server.ledger.publish(tx, row, { model: stored, report, isLast: true }));
    });
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

async function positionOf({ db }: TestServer, type: string, nth = 0): Promise<number> {
  const rows = await db.selectFrom("audit").selectAll().orderBy("position").execute();
  return rows.filter(({ entry }) => auditEntry.decode(entry).type === type)[nth]!.position;
}

/** Of the enclave's records. */
async function recordAt(server: TestServer, operation: EnclaveRecord["operation"]): Promise<number> {
  const rows = await server.db.selectFrom("audit").selectAll().orderBy("position").execute();
  const isIt = (data: Uint8Array): boolean => data.length > 0 && enclaveRecord.decode(data).operation === operation;
  return rows.find(({ entry }) => {
    const { type, data } = auditEntry.decode(entry);
    return type === "enclave.operation" && isIt(data);
  })!.position;
}

const TAMPERINGS: Readonly<Record<string, readonly [Tampering, RegExp]>> = {
  "an entry was altered": [
    async (server) => putEntry(server, 3, altered(await entryAt(server, 3))),
    /^newest checkpoint of \d+ entries has another root than the log$/,
  ],
  "an entry is no entry": [
    async (server) => {
      await putEntry(server, 3, Uint8Array.of(0));
      await signAnew(server);
    },
    /^entry 3 cannot be read$/,
  ],
  "an entry in the middle is gone": [
    ({ db }) => db.deleteFrom("audit").where("position", "=", 4).execute(),
    /the audit log has no entry 4$/,
  ],
  "the newest entries are gone": [
    ({ db }) => db.deleteFrom("audit").where("position", ">", 10).execute(),
    /^the log holds 11 entries, its newest checkpoint is over \d+$/,
  ],
  "entries stand behind the newest checkpoint": [
    async (server) => {
      const entry = await entryAt(server, 3);
      const position = await countEntries(server.db);
      await server.db.insertInto("audit").values({ position, entry }).execute();
    },
    /^the log holds \d+ entries, its newest checkpoint is over \d+$/,
  ],
  "two entries were exchanged": [
    async (server) => {
      const [third, fourth] = [await entryAt(server, 3), await entryAt(server, 4)];
      await putEntry(server, 3, fourth);
      await putEntry(server, 4, third);
    },
    /has another root than the log$/,
  ],
  "there is no checkpoint": [({ db }) => db.deleteFrom("checkpoints").execute(), /^the log has no checkpoint$/],
  "the checkpoint was signed by another": [
    async (server) => {
      const pair = signature("ML-DSA-44").generateKeyPair();
      await signAnew({
        db: server.db,
        runId: server.runId,
        keys: { pairOf: () => pair },
      });
    },
    /^newest checkpoint: .* is not signed by the pinned key$/,
  ],
  "the checkpoint is of another run": [
    async ({ db, runId }) => {
      const { note } = await db.selectFrom("checkpoints").select("note").executeTakeFirstOrThrow();
      const other = note.replaceAll(logOrigin(runId), logOrigin(new Uint8Array(32)));
      await db.updateTable("checkpoints").set({ note: other }).execute();
    },
    /^newest checkpoint: .* it is of another run$/,
  ],
  "the checkpoint is no checkpoint": [
    ({ db }) => db.updateTable("checkpoints").set({ note: "no note" }).execute(),
    /^newest checkpoint: Cannot read audit log/,
  ],
  "the policy of the run was exchanged": [
    (server) =>
      server.db
        .updateTable("run")
        .set({ policy: new Uint8Array(1) })
        .execute(),
    /was (signed|made) under another policy$/,
  ],
  "the log's policy is another one": [
    async (server) => rewrite(server, await positionOf(server, "run.opened"), () => ({ digest: new Uint8Array(32) })),
    /the model was made under another policy than the run's$/,
  ],
  "a round stands on another model": [
    async (server) => rewrite(server, await positionOf(server, "round.opened"), () => ({ digest: new Uint8Array(32) })),
    /the round does not stand on the newest model$/,
  ],
  "a round was never closed": [
    async (server) =>
      rewrite(server, await positionOf(server, "model.published", 1), () => ({ type: "token.created" })),
    /the round before is still open$/,
  ],
  "a model was published that the enclave has not made": [
    async (server) =>
      rewrite(server, await positionOf(server, "model.published", 1), () => ({ digest: new Uint8Array(32) })),
    /the enclave has not made this model$/,
  ],
  "a report was committed that is not the model's": [
    async (server) =>
      rewrite(server, await positionOf(server, "round.committed"), () => ({ digest: new Uint8Array(32) })),
    /the report is not the model's$/,
  ],
  "an update was logged that the enclave never got": [
    async (server) =>
      rewrite(server, await positionOf(server, "update.accepted"), () => ({ data: new Uint8Array(32) })),
    /the enclave was not given every accepted update$/,
  ],
  "one device has two updates in a round": [
    async (server) => {
      const second = auditEntry.decode(await entryAt(server, await positionOf(server, "update.accepted", 1)));
      await rewrite(server, await positionOf(server, "update.accepted"), () => ({ subject: second.subject }));
    },
    /a second update of one device was accepted$/,
  ],
  "a record of the enclave has other words": [
    async (server) => {
      const position = await recordAt(server, "begin");
      await rewrite(server, position, ({ data }) => ({
        data: enclaveRecord.encode({ ...enclaveRecord.decode(data), subject: new Uint8Array(32) }),
      }));
    },
    /the enclave began the round on another model$/,
  ],
  "the report judges other devices than the ledger has": [
    async ({ db }) => {
      const rows = await db.selectFrom("updates").selectAll().where("round", "=", 1).execute();
      const other = new Uint8Array(16);
      await db.updateTable("updates").set({ device_id: other }).where("manifest", "=", rows[0]!.manifest).execute();
    },
    /the report does not judge exactly the accepted updates$/,
  ],
  "a record of the enclave was left out": [
    async (server) =>
      rewrite(server, await recordAt(server, "open"), () => ({ type: "token.created", data: new Uint8Array(0) })),
    /enclave record 0 does not follow the one before it$/,
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
      { ok: true, entries: 0, updates: 4, models: 3, root: "", open_round: null },
    );
    assert.match(counts.root, /^[0-9a-f]{64}$/);
  });

  it("that is empty does not verify: nothing is signed", async (context) => {
    const { ok, problems } = await verified(await TestServer.start(context));
    assert.deepEqual([ok, problems], [false, ["the log has no checkpoint"]]);
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
    const { ok, problems } = await verifyAudit(db, [signature("ML-DSA-44").generateKeyPair().publicKey]);
    assert.equal(ok, false);
    assert.match(problems[0]!, /^newest checkpoint: .* is not signed by the pinned key$/);
  });

  it("is signed whenever something was appended, also by many at the same time", async (context) => {
    const server = await finishedRun(context);
    const before = server.audit.newest!.size;
    const fact = { type: "token.created", subject: "x", digest: new Uint8Array(32) } as const;
    const append = () => server.writer.write((tx) => server.audit.append(tx, fact));
    const places = await Promise.all(Array.from({ length: 600 }, append));
    assert.deepEqual(
      places.map(({ position }) => position),
      places.map((_, i) => before + i),
    );
    assert.equal(server.audit.newest!.size, before + 600);
    assert.equal((await server.db.selectFrom("checkpoints").selectAll().execute()).length, 1);
    assert.deepEqual((await verified(server)).problems, []);
  });

  it("does not grow by a write that fails", async (context) => {
    const server = await finishedRun(context);
    const before = server.audit.newest;
    const failed = server.writer.write(async (tx) => {
      await server.audit.append(tx, { type: "token.created", subject: "x", digest: new Uint8Array(32) });
      throw new RangeError("changed my mind");
    });
    await assert.rejects(failed, RangeError);
    assert.equal(server.audit.newest, before);
    assert.deepEqual((await verified(server)).problems, []);
  });

  it("goes on from what it has signed where telling others of it fails", async (context) => {
    const server = await finishedRun(context);
    const { audit } = server;
    const errors: string[] = [];
    const error = (fields: object): void => void errors.push(JSON.stringify(fields));
    const writer = new Writer(server.db, audit, { error });
    const before = audit.newest!.size;
    const told = context.mock.method(audit.changes, "notify", () => assert.fail("nobody there"));
    const append = () =>
      writer.write((tx) => audit.append(tx, { type: "token.created", subject: "x", digest: new Uint8Array(32) }));
    await append();
    told.mock.restore();
    await append();
    assert.match(errors.join(), /^[^,]*nobody there[^,]*$/);
    assert.equal(audit.newest!.size, before + 2);
    assert.deepEqual((await verified(server)).problems, []);
  });

  it("goes on after a restart where it was", async (context) => {
    const server = await finishedRun(context);
    const restarted = new AuditLog(server.auditPorts());
    await restarted.load();
    assert.deepEqual(restarted.newest, server.audit.newest);
    const writer = new Writer(server.db, restarted, strictLog);
    await writer.write((tx) =>
      restarted.append(tx, { type: "token.created", subject: "x", digest: new Uint8Array(32) }),
    );
    assert.deepEqual((await verified(server)).problems, []);
  });

  it("does not start on entries that its checkpoint does not sign", async (context) => {
    const server = await finishedRun(context);
    await putEntry(server, 3, altered(await entryAt(server, 3)));
    await assert.rejects(new AuditLog(server.auditPorts()).load(), coded("store.corrupt", /checkpoint differ$/));
  });

  it("that was rewritten and signed anew contradicts a checkpoint that somebody kept", async (context) => {
    const server = await finishedRun(context);
    const kept = server.audit.newest!.note;
    await rewrite(server, 3, () => ({ at: 1 }));
    assert.deepEqual((await verified(server)).problems, []);
    const { problems } = await verifyAudit(server.db, [server.keys.signaturePublicKey], { earlier: [kept] });
    assert.deepEqual(problems, ["earlier checkpoint 1 has another root than the log: its history was rewritten"]);
  });

  it("that was cut and signed anew contradicts a checkpoint that somebody kept", async (context) => {
    const server = await finishedRun(context);
    const kept = server.audit.newest!;
    await server.db
      .deleteFrom("audit")
      .where("position", "=", kept.size - 1)
      .execute();
    await signAnew(server);
    const { problems } = await verifyAudit(server.db, [server.keys.signaturePublicKey], { earlier: [kept.note] });
    assert.ok(problems.includes(`earlier checkpoint 1 is over ${kept.size} entries, the log holds ${kept.size - 1}`));
  });

  it("says nothing of names, examples or norms", async (context) => {
    const server = await finishedRun(context);
    const device = await server.enrolled("ward-3-of-a-clinic");
    const rows = await server.db.selectFrom("audit").selectAll().execute();
    const all = Buffer.concat(rows.map(({ entry }) => entry)).toString("latin1");
    assert.ok(all.includes(toHex(device.device_id)));
    for (const word of ["ward-3-of-a-clinic", "examples", "norm"]) assert.ok(!all.includes(word), word);
  });
});

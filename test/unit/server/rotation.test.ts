// The audit log over rotations of the server's identity: one log, one key in force at each size.

import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { AuditLog } from "../../../src/server/audit.ts";
import { type AuditSummary, verifyAudit } from "../../../src/server/audit-verify.ts";
import {
  loadServerKeys,
  logSignerOf,
  readLogKeys,
  readServerPublicKeys,
  writeServerKeys,
} from "../../../src/server/keys.ts";
import { Rotation } from "../../../src/server/rotation.ts";
import { Writer } from "../../../src/server/store/writer.ts";
import { identityFingerprint } from "../../../src/wire/identity.ts";
import { parseNote } from "../../../src/wire/note.ts";
import { strictLog } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { signAnew } from "../../support/forger.ts";
import { TestServer } from "../../support/parts.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const FACT = { type: "token.created", subject: "x", digest: new Uint8Array(32) } as const;

const NO_TLS = { certificate: "", key: Buffer.alloc(0) };

/** A server whose run and keys are on disk, with the keys that sign its log published. */
async function started(context: TestContext): Promise<TestServer> {
  const server = await TestServer.start(context);
  const { db, audit, writer, runId } = server;
  const unset = { enclave_keys: null, enclave_progress: null, enclave_public_key: null, session_policy: null };
  const policy = new Uint8Array(1);
  await db
    .insertInto("run")
    .values({ id: 1, run_id: runId, policy, plan: "{}", ...unset })
    .execute();
  writeServerKeys(server.folder, server.storedKeys);
  await writer.write(async (tx) => {
    await audit.append(tx, FACT);
    await audit.appendKeys(tx, audit.signer);
  });
  return server;
}

function rotationOf(server: TestServer, audit = server.audit, writer = server.writer): Rotation {
  const { folder: dataDir, runId, keys, random } = server;
  return new Rotation({ dataDir, runId, keys, random, audit, writer, sessions: { close: () => undefined } });
}

/** Something happens once its transaction is on disk. */
class CutWriter extends Writer {
  cut = (): void => undefined;

  override async write<T>(work: Parameters<Writer["write"]>[0]): Promise<T> {
    const result = (await super.write(work)) as T;
    this.cut();
    return result;
  }
}

async function append({ writer, audit }: Pick<TestServer, "writer" | "audit">): Promise<void> {
  await writer.write((tx) => audit.append(tx, FACT));
}

async function problemsUnder(server: TestServer, keys: Bytes[], earlier: readonly string[] = []): Promise<string[]> {
  const { problems }: AuditSummary = await verifyAudit(server.db, keys, { earlier });
  return [...problems];
}

describe("the audit log of a server that rotates", () => {
  it("goes on under each next key, and verifies under their sequence", async (context) => {
    const server = await started(context);
    const notes: string[] = [];
    for (let times = 0; times < 3; times++) {
      await append(server);
      notes.push(server.audit.newest!.note);
      await rotationOf(server).rotate();
      notes.push(server.audit.newest!.note);
    }
    await append(server);
    const keys = readServerPublicKeys(server.folder);
    assert.deepEqual(await problemsUnder(server, keys, notes), []);
    const { former, inForce, next } = readLogKeys(server.folder, server.runId);
    assert.deepEqual([former.length, inForce.length, next.length], [3, 2, 2]);
    const { signatures } = parseNote(server.audit.newest!.note);
    assert.deepEqual(
      signatures.map(({ keyId }) => keyId),
      inForce.map(({ keyId }) => keyId),
    );
  });

  it("does not verify under the keys that were replaced alone, nor under those of another server", async (context) => {
    const server = await started(context);
    const before = server.keys.signaturePublicKey;
    await rotationOf(server).rotate();
    const [problem] = await problemsUnder(server, [before]);
    assert.match(problem!, /^newest checkpoint: .* is not signed by the pinned key$/);
    const other = await TestServer.start(context);
    assert.match((await problemsUnder(server, [other.keys.signaturePublicKey]))[0]!, /^newest checkpoint: /);
  });

  it("does not verify where a key signs after it was replaced", async (context) => {
    const server = await started(context);
    const { publicKey, secretKey } = server.keys.pairOf("ML-DSA-44");
    const stolen = { publicKey, secretKey: new Uint8Array(secretKey) };
    await rotationOf(server).rotate();
    const keys = readServerPublicKeys(server.folder);
    await signAnew({ db: server.db, runId: server.runId, keys: { pairOf: () => stolen } });
    assert.deepEqual(await problemsUnder(server, keys), ["newest checkpoint is signed by a key that was not in force"]);
  });

  it("does not verify where a key signs before its rotation is in the log", async (context) => {
    const server = await started(context);
    const { nextPair } = server.keys;
    await signAnew({ db: server.db, runId: server.runId, keys: { pairOf: () => nextPair } });
    const keys = readServerPublicKeys(server.folder);
    assert.deepEqual(await problemsUnder(server, keys), ["newest checkpoint is signed by a key that was not in force"]);
  });

  it("ends a rotation that a crash has cut between log and key file", async (context) => {
    const server = await started(context);
    const announced = server.keys.nextFingerprint;
    const { keys, random, runId, audit: log } = server;
    const dataDir = join(server.folder, "gone-after-the-log");
    mkdirSync(dataDir);
    writeServerKeys(dataDir, server.storedKeys);
    const writer = new CutWriter(server.db, log, strictLog);
    writer.cut = () => rmSync(dataDir, { recursive: true });
    const cut = new Rotation({
      dataDir,
      runId,
      keys,
      random,
      audit: log,
      writer,
      sessions: { close: () => undefined },
    });
    await assert.rejects(cut.rotate(), /ENOENT/);
    assert.notDeepEqual(server.keys.fingerprint, announced);
    const entries = await server.entries();
    const audit = new AuditLog(server.auditPorts());
    await audit.load();
    const restarted = new Writer(server.db, audit, strictLog);
    await rotationOf(server, audit, restarted).finish();
    assert.deepEqual(server.keys.fingerprint, announced);
    assert.equal(await server.entries(), entries);
    await append({ audit, writer: restarted });
    assert.deepEqual(await problemsUnder(server, readServerPublicKeys(server.folder)), []);
    await rotationOf(server, audit, restarted).finish();
    assert.deepEqual(server.keys.fingerprint, announced);
  });

  it("is waited for by a server that stops: keys that were wiped before would go to disk as zeros", async (context) => {
    const server = await started(context);
    const announced = server.keys.nextFingerprint;
    const rotation = rotationOf(server);
    const rotating = rotation.rotate();
    await assert.rejects(rotation.rotate(), coded("config.invalid", /on its way/));
    await rotation.close();
    server.keys.wipe();
    await rotating;
    const { identity } = await loadServerKeys(server.folder, [], server.random, NO_TLS);
    assert.deepEqual(identityFingerprint(identity), announced);
    await rotation.close();
    await assert.rejects(rotation.rotate(), coded("server.unavailable"));
    assert.throws(() => server.keys.rotated(server.random, null), /wiped/);
  });

  it("that cannot be stored leaves no fresh seed behind, and can be made again", async (context) => {
    const server = await started(context);
    const rotated = context.mock.method(server.keys, "rotated");
    const rotation = rotationOf(server);
    context.mock.method(server.audit, "handOver", () => Promise.reject(new QflareError("store.unavailable")));
    await assert.rejects(rotation.rotate(), coded("store.unavailable"));
    const { next } = rotated.mock.calls[0]!.result!;
    assert.ok([...next.signature, ...next.longterm].every((byte) => byte === 0));
  });

  it("does not start on a checkpoint of keys that are neither in force nor announced", async (context) => {
    const server = await started(context);
    const other = await TestServer.start(context);
    const signer = logSignerOf(other.keys.pairOf("ML-DSA-44"), server.runId);
    const audit = new AuditLog({ ...server.auditPorts(), signer, successor: signer });
    await assert.rejects(audit.load(), coded("store.corrupt", /another server$/));
  });

  it("is not served under a replaced key where witnesses are wanted, until they cosign anew", async (context) => {
    const server = await started(context);
    const audit = new AuditLog({ ...server.auditPorts(), isWitnessed: true });
    await audit.load();
    const writer = new Writer(server.db, audit, strictLog);
    const before = audit.newest!;
    const longAgo = before.size - 1;
    // More than the log will have: its device is to find a fork, which takes a checkpoint.
    const beyond = before.size + 100;
    const areServed = (): boolean[] => [longAgo, beyond].map((seen) => audit.isServedTo(seen));
    assert.deepEqual(areServed(), [false, false]);
    await writer.write((tx) => audit.storeCosigned(tx, before));
    audit.cosigned(before);
    assert.equal(audit.served, before);
    assert.deepEqual(areServed(), [true, true]);
    await rotationOf(server, audit, writer).rotate();
    assert.equal(audit.served, undefined);
    audit.cosigned(before);
    assert.equal(audit.served, undefined);
    assert.deepEqual(areServed(), [false, false]);
    const newest = audit.newest!;
    await writer.write((tx) => audit.storeCosigned(tx, newest));
    audit.cosigned(newest);
    assert.equal(audit.served, newest);
  });
});

import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOTS } from "../../src/attestation/roots.ts";
import { QflareError } from "../../src/core/error.ts";
import { LeafPool } from "../../src/crypto/leaf-pool.ts";
import { type EnclaveHost, localHost } from "../../src/server/enclave-host.ts";
import { EnclaveLink, type EnclavePorts } from "../../src/server/enclave-link.ts";
import { EnclaveProcess } from "../../src/server/enclave-process.ts";
import { EnclaveRegister } from "../../src/server/enclave-register.ts";
import { examineHost } from "../../src/server/isolation.ts";
import { ModelVault } from "../../src/server/models.ts";
import { BlobStore } from "../../src/server/store/blobs.ts";
import type { Write } from "../../src/server/store/writer.ts";
import { auditEntry, enclaveRecord } from "../../src/wire/audit.ts";
import { policyMessage } from "../../src/wire/policy.ts";
import { silentLog } from "../support/clock.ts";
import { EPOCH_MS, FIRST_MODEL, policyOf } from "../support/enclave.ts";
import { coded } from "../support/errors.ts";
import { TestServer } from "../support/parts.ts";

const ATTEST = { nonces: [new Uint8Array(32)], at: 1 };

type HostOf = (keyFolder: string) => Promise<EnclaveHost>;

const nothing: Write<void> = async () => undefined;

async function openLink(
  context: TestContext,
  hostOf: HostOf = async (folder) => localHost(folder, await examineHost(), "simulated"),
): Promise<{ link: EnclaveLink; server: TestServer; errors: string[] }> {
  const server = await TestServer.start(context);
  const policy = policyMessage.encode(policyOf());
  const unset = { enclave_keys: null, enclave_progress: null, enclave_public_key: null };
  const row = { id: 1, run_id: server.runId, policy, plan: "{}", ...unset };
  await server.db.insertInto("run").values(row).execute();
  const errors: string[] = [];
  const log = { ...silentLog, error: (_fields: object, text: string) => void errors.push(text) };
  const host = await hostOf(join(server.folder, "enclave"));
  const blobs = new BlobStore(join(server.folder, "blobs"), server.random, new LeafPool(1));
  const models = new ModelVault(blobs, server.random, server.clock);
  const register = new EnclaveRegister({ ...server, policy, programDigest: host.programDigest });
  const own = { policy: { allow_simulated: true }, roots: ROOTS, collateral: () => null, keep: () => undefined };
  const ports: EnclavePorts = {
    ...server,
    isolationRequired: "none",
    host,
    own,
    register,
    models,
    lostEnclave: "stop",
    log,
    policy,
    evidenceMs: EPOCH_MS,
  };
  const link = new EnclaveLink(ports);
  context.after(() => link.close());
  await link.ready();
  return { link, server, errors };
}

/** What the enclave did, as the log tells it; throws where its own chain has a gap. */
async function chain({ db, writer }: TestServer): Promise<string[]> {
  await writer.drained();
  const rows = await db.selectFrom("audit").select("entry").orderBy("position").execute();
  const entries = rows.map((row) => auditEntry.decode(row.entry)).filter(({ type }) => type === "enclave.operation");
  const records = entries.map(({ data }) => enclaveRecord.decode(data));
  assert.deepEqual(
    records.map((record) => record.sequence),
    [...records.keys()].map((i) => i + records[0]!.sequence),
  );
  return records.map((record) => record.operation);
}

describe("the link to the enclave", () => {
  it("opens a process that shares our root, from a folder that is named from where we are", async (context) => {
    const { server } = await openLink(context, async (folder) => {
      const isolation = { ...(await examineHost()), sandbox: undefined };
      const here = process.cwd();
      context.after(() => process.chdir(here));
      process.chdir(dirname(folder));
      return localHost(basename(folder), isolation, "simulated");
    });
    assert.deepEqual(await chain(server), ["open", "attest"]);
  });

  it("stores what answers leave behind in their order, however long one takes to be followed up", async (context) => {
    const { link, server } = await openLink(context);
    const gate = Promise.withResolvers<Write<void>>();
    const genesis = link.call("genesis", { at: 1 }, FIRST_MODEL, () => gate.promise);
    await link.call("attest", ATTEST);
    await sleep(50);
    gate.resolve(nothing);
    await genesis;
    await link.call("attest", ATTEST, undefined, async () => nothing);
    assert.deepEqual(await chain(server), ["open", "attest", "genesis", "attest", "attest"]);
  });

  it("stores nothing behind an answer that could not be stored, and says so", async (context) => {
    const { link, server, errors } = await openLink(context);
    const gate = Promise.withResolvers<void>();
    const failing = async (): Promise<Write<void>> => {
      await gate.promise;
      throw new QflareError("store.full");
    };
    const genesis = assert.rejects(link.call("genesis", { at: 1 }, FIRST_MODEL, failing), coded("store.full"));
    await link.call("attest", ATTEST);
    const late = link.call("attest", ATTEST, undefined, async () => nothing);
    const refused = assert.rejects(late, coded("enclave.unavailable"));
    gate.resolve();
    await Promise.all([genesis, refused]);
    assert.equal(link.isAlive, false);
    await link.ready();
    assert.ok(errors.length >= 2, errors.join(", "));
    await link.call("genesis", { at: 1 }, FIRST_MODEL, async () => nothing);
    assert.deepEqual(await chain(server), ["open", "attest", "open", "attest", "genesis"]);
  });

  it("lets a write that fails take those behind it with it", async (context) => {
    const { link, server } = await openLink(context);
    const failing: Write<void> = async () => Promise.reject(new QflareError("store.full"));
    const genesis = link.call("genesis", { at: 1 }, FIRST_MODEL, async () => failing);
    const behind = link.call("attest", ATTEST, undefined, async () => nothing);
    const results = await Promise.allSettled([genesis, behind]);
    assert.deepEqual(
      results.map((result) => (result as PromiseRejectedResult).reason.code),
      ["store.full", "enclave.unavailable"],
    );
    await link.ready();
    assert.deepEqual(await chain(server), ["open", "attest", "open", "attest"]);
  });

  it("opens the next process once everything of the one before is stored", async (context) => {
    const { link, server } = await openLink(context);
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<Write<void>>();
    const genesis = link.call("genesis", { at: 1 }, FIRST_MODEL, async () => {
      asked.resolve();
      return await gate.promise;
    });
    await asked.promise;
    process.kill(link.pid!, "SIGKILL");
    while (link.isAlive) await sleep(5);
    const opened = link.ready();
    await sleep(50);
    gate.resolve(nothing);
    await Promise.all([genesis, opened]);
    await link.call("attest", ATTEST, undefined, async () => nothing);
    assert.deepEqual(await chain(server), ["open", "attest", "genesis", "open", "attest", "attest"]);
  });

  it("waits for no process that is still to show itself when it is closed", async (context) => {
    const { link, server } = await openLink(context);
    const asked = Promise.withResolvers<void>();
    const killed = Promise.withResolvers<never>();
    const { call, kill } = EnclaveProcess.prototype;
    context.mock.method(EnclaveProcess.prototype, "call", function (this: EnclaveProcess, ...args: [never, never]) {
      if (args[0] !== "attest") return call.apply(this, args);
      asked.resolve();
      return killed.promise;
    });
    context.mock.method(EnclaveProcess.prototype, "kill", function (this: EnclaveProcess) {
      kill.call(this);
      killed.reject(new QflareError("enclave.unavailable"));
    });
    process.kill(link.pid!, "SIGKILL");
    while (link.isAlive) await sleep(5);
    const opened = assert.rejects(link.ready(), coded("enclave.unavailable"));
    await asked.promise;
    await link.close();
    await opened;
    assert.deepEqual(await chain(server), ["open", "attest"]);
  });
});

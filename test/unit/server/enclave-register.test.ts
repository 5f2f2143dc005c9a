// What may be announced and started, by the register alone.

import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { EnclaveRegister, type Started } from "../../../src/server/enclave-register.ts";
import { auditEntry } from "../../../src/wire/audit.ts";
import { replayRun } from "../../../src/wire/log-replay.ts";
import { policyMessage } from "../../../src/wire/policy.ts";
import { policyOf } from "../../support/enclave.ts";
import { coded } from "../../support/errors.ts";
import { TestServer } from "../../support/parts.ts";
import { releaseKey } from "../../support/releases.ts";

const owner = releaseKey();
const programOf = (byte: number): Uint8Array<ArrayBuffer> => new Uint8Array(32).fill(byte);
const policy = policyMessage.encode(policyOf());

function registerOf(server: TestServer, program: number): EnclaveRegister {
  return new EnclaveRegister({ ...server, policy, programDigest: programOf(program) });
}

/** As a server does that starts this program. */
async function startProgram(server: TestServer, program: number, epoch: number, hasNewKey: boolean): Promise<Started> {
  const register = registerOf(server, program);
  await register.requireAnnounced();
  const [kem_public_key, signature_public_key] = [server.random.bytes(32), server.random.bytes(32)];
  const enclave = { tee: "simulated", epoch, kem_public_key, signature_public_key, isolation: "none" };
  return await server.writer.write((tx) => register.name(tx, enclave, hasNewKey));
}

async function entries({ db }: TestServer) {
  const rows = await db.selectFrom("audit").select("entry").orderBy("position").execute();
  return rows.map(({ entry }) => auditEntry.decode(entry));
}

describe("the register of enclaves", () => {
  const start = async (context: TestContext): Promise<TestServer> => await TestServer.start(context);
  const refused = coded("evidence.refused", /expected program 01\w+ or one that the audit log announces, got 02/);

  it("lets a run begin with any program, and go on with that one alone", async (context) => {
    const server = await start(context);
    assert.deepEqual((await startProgram(server, 1, 1, true)).announcement, undefined);
    assert.equal((await startProgram(server, 1, 2, true)).hasOwnKey, true);
    await assert.rejects(startProgram(server, 2, 3, false), refused);
  });

  it("lets an announced one take its place, whose key comes later, and the one before never again", async (context) => {
    const server = await start(context);
    await startProgram(server, 1, 1, true);
    const reference = owner.sign(programOf(2));
    const { index, release } = await registerOf(server, 1).announce(reference, owner.hash);
    await registerOf(server, 1).announce(owner.sign(programOf(3)), owner.hash);
    assert.equal(release, "2.0.0");
    const { announcement, hasOwnKey, index: startedAt } = await startProgram(server, 2, 2, false);
    assert.ok(announcement !== undefined && announcement.index === index && startedAt > index);
    assert.equal(announcement.reference, reference);
    assert.equal(hasOwnKey, false);
    assert.equal((await startProgram(server, 2, 3, true)).hasOwnKey, true);
    for (const gone of [1, 3]) {
      const expected = coded("evidence.refused", /expected program 02/);
      await assert.rejects(startProgram(server, gone, 4, false), expected);
    }
    await registerOf(server, 2).announce(owner.sign(programOf(1)), owner.hash);
    await startProgram(server, 1, 4, true);
    assert.deepEqual(replayRun(await entries(server), "").problems, []);
  });

  it("starts nothing where the log has begun and the ledger has forgotten with which program", async (context) => {
    const server = await start(context);
    await startProgram(server, 1, 1, true);
    await server.db.deleteFrom("programs").execute();
    for (const program of [1, 2]) {
      await assert.rejects(startProgram(server, program, 2, false), coded("store.corrupt", /knows no program/));
    }
    assert.equal((await entries(server)).length, 1);
  });

  it("renews the values of the program that runs, which makes what was announced before void", async (context) => {
    const server = await start(context);
    await startProgram(server, 1, 1, true);
    await registerOf(server, 1).announce(owner.sign(programOf(2)), owner.hash);
    const renewed = owner.sign(programOf(1), { release: "1.0.1" });
    const { index } = await registerOf(server, 1).announce(renewed, owner.hash);
    await assert.rejects(startProgram(server, 2, 2, false), refused);
    const { announcement, hasOwnKey } = await startProgram(server, 1, 1, false);
    assert.deepEqual([announcement!.index, announcement!.reference, hasOwnKey], [index, renewed, true]);
    assert.deepEqual(
      replayRun(await entries(server), "").problems.filter((problem) => /announced/.test(problem)),
      [],
    );
    const reference = owner.sign(programOf(2));
    await registerOf(server, 1).announce(reference, owner.hash);
    assert.equal((await startProgram(server, 2, 2, false)).announcement!.reference, reference);
  });

  it("lets a run go on with the kind of hardware alone that it began on", async (context) => {
    const server = await start(context);
    const register = registerOf(server, 1);
    await register.requireSameTee("sev-snp");
    await startProgram(server, 1, 1, true);
    await register.requireSameTee("simulated");
    const other = coded("evidence.refused", /expected one on simulated, as before, got sev-snp/);
    await assert.rejects(register.requireSameTee("sev-snp"), other);
  });

  it("announces nothing unsigned by the release key or expired", async (context) => {
    const server = await start(context);
    await startProgram(server, 1, 1, true);
    const before = (await entries(server)).length;
    const register = registerOf(server, 1);
    const announce = async (reference: string, key = owner.hash): Promise<unknown> =>
      await register.announce(reference, key);
    await assert.rejects(announce(releaseKey(2).sign(programOf(2))), coded("evidence.refused"));
    await assert.rejects(announce(owner.sign(programOf(2)), new Uint8Array(0)), coded("evidence.refused"));
    await assert.rejects(announce(owner.sign(programOf(2), { not_after: 1 })), coded("evidence.refused", /expired/));
    await assert.rejects(announce("{}"), coded("message.malformed"));
    assert.equal((await entries(server)).length, before);
    await assert.rejects(startProgram(server, 2, 2, false), refused);
  });
});

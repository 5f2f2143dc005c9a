// Who stands where the remote enclave should, or where its server should.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { sha256 } from "../../src/crypto/hash.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Enclave } from "../../src/enclave/enclave.ts";
import { serve } from "../../src/enclave/host.ts";
import { Vault } from "../../src/enclave/keys.ts";
import { enclaveProgram } from "../../src/server/enclave-program.ts";
import { type LinkIdentity, linkOptions, loadLinkIdentity } from "../../src/server/link-identity.ts";
import type { EnclaveAnswer, EnclaveRequest } from "../../src/wire/enclave.ts";
import { surroundings } from "../support/enclave.ts";
import { coded } from "../support/errors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { LongRun } from "../support/long-run.ts";
import { RemoteEnclave } from "../support/remote.ts";

const OWN_PROGRAM = sha256(enclaveProgram());

/** Answers with evidence that it made for another nonce. */
class Replaying extends Enclave {
  override async attest(request: EnclaveRequest<"attest">): Promise<EnclaveAnswer<"attest">> {
    return await super.attest({ ...request, nonces: [new Uint8Array(32)] });
  }
}

function enclaveWith(program: Uint8Array<ArrayBuffer>, Kind = Enclave): Enclave {
  const vault = new Vault(new Uint8Array(32).fill(1), systemRandom);
  return new Kind(vault, { ...surroundings(), codeDigest: program });
}

/** Who has the enclave's certificate and its key, but not its program. */
async function impostor(t: TestContext, identity: LinkIdentity, enclave: Enclave | undefined) {
  const heard: Buffer[] = [];
  const listener = createServer(linkOptions(identity), (socket: TLSSocket) => {
    socket.on("error", () => undefined);
    if (enclave === undefined) socket.on("data", (chunk: Buffer) => heard.push(chunk));
    else void serve(enclave, socket, async (bytes) => void socket.write(bytes)).catch(() => undefined);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  return { port: (listener.address() as AddressInfo).port, heard };
}

async function startWith(run: LongRun, port: number, pin: string): Promise<void> {
  await run.start({ enclave: { address: { host: "127.0.0.1", port }, pin } });
}

test("a server tells nothing to an enclave whose certificate is not the pinned one", async (t) => {
  const run = LongRun.prepare(t);
  const [own, other] = [await loadLinkIdentity(temporaryFolder()), await loadLinkIdentity(temporaryFolder())];
  const { port, heard } = await impostor(t, other, undefined);
  await assert.rejects(startWith(run, port, own.pin), coded("enclave.unavailable", /not the pinned one/));
  assert.equal(Buffer.concat(heard).length, 0);
});

test("a server opens no run where the evidence is of another program, or not fresh", async (t) => {
  const identity = await loadLinkIdentity(temporaryFolder());
  const cases = [
    { enclave: enclaveWith(new Uint8Array(32).fill(9)), why: /another program/ },
    { enclave: enclaveWith(OWN_PROGRAM, Replaying), why: /does not answer/ },
  ];
  for (const { enclave, why } of cases) {
    const run = LongRun.prepare(t);
    const { port } = await impostor(t, identity, enclave);
    await assert.rejects(startWith(run, port, identity.pin), coded("evidence.refused", why));
    assert.deepEqual(await run.rounds(), []);
    assert.ok(!(await run.entries()).some(({ type }) => type === "enclave.started" || type === "key.published"));
  }
});

test("an enclave answers nobody but its server, and over no key exchange that a quantum computer breaks", async (t) => {
  const run = LongRun.prepare(t);
  const remote = await RemoteEnclave.open(t, run.dataDir);
  const stranger = linkOptions(await loadLinkIdentity(temporaryFolder()));
  const own = linkOptions(await loadLinkIdentity(run.dataDir));
  const where = { host: "127.0.0.1", port: remote.port, rejectUnauthorized: false };
  const nobody = { ecdhCurve: "X25519MLKEM768" };
  for (const options of [
    stranger,
    nobody,
    { ...own, ecdhCurve: "X25519" },
    { ...own, maxVersion: "TLSv1.2" as const, minVersion: "TLSv1.2" as const },
  ]) {
    const socket = connect({ ...where, ...options });
    const heard: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => heard.push(chunk));
    socket.on("error", () => undefined);
    await new Promise((resolve) => socket.once("close", resolve));
    assert.equal(heard.length, 0);
  }
  assert.equal(remote.said.includes("the server is connected"), false);
  await startWith(run, remote.port, remote.pin);
  await run.stop();
});

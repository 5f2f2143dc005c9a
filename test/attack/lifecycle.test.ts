// Attacks on the life cycle of keys: resumption, revocation, re-key and rotation, against a running server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sha256 } from "../../src/crypto/hash.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { signature } from "../../src/crypto/signature.ts";
import { exchangeKem, RESUME_KEM, SUITES } from "../../src/crypto/suite.ts";
import { type DeviceKeys, enrollDevice, freshKeys, namedKeys } from "../../src/device/enroll.ts";
import { answerMessage, challengeAnswer } from "../../src/wire/challenge.ts";
import { deviceId } from "../../src/wire/enroll.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { rekeyAnswer, rekeyedMessage, rekeyMessage, rekeyRequest } from "../../src/wire/rekey.ts";
import { resumeBinder, resumeHello, resumeRequest } from "../../src/wire/resume.ts";
import { parseToken } from "../../src/wire/token.ts";
import { assertRoundEnds, TestClient } from "../support/client.ts";
import { CBOR, exchange } from "../support/http.ts";
import { enrollmentOf } from "../support/parts.ts";
import { assertCode, assertRefused } from "../support/refusal.ts";
import { TestServer } from "../support/server.ts";
import { draftHello, encodeHello, flipped, HandSession, postChallenge } from "../support/session.ts";

type Bytes = Uint8Array<ArrayBuffer>;

let server: TestServer;
let first: TestClient;
let second: TestClient;

before(async () => {
  server = await TestServer.start();
  [first, second] = [await TestClient.enroll(server, "first"), await TestClient.enroll(server, "second")];
  for (const client of [first, second]) await client.work(0, 0);
});

after(async () => await server.close());

/** A well-made request to resume the session of this id under this secret. */
async function resumeBody(ticket: Bytes, resumption: Bytes): Promise<Bytes> {
  const { publicKey } = await exchangeKem(RESUME_KEM).generateKeyPair();
  const fields = { v: 1, ticket, nonce: systemRandom.bytes(32), ephemeral_public_key: publicKey };
  const message = resumeHello.encode(fields);
  return resumeRequest.encode({ message, binder: resumeBinder(resumption, message) });
}

const post = (body: Uint8Array, path = "/api/resume") =>
  exchange(server, { method: "POST", path, headers: CBOR, body: [body] });

test("resuming with the ticket of another device, or with a secret of another session, is refused", async () => {
  const own = first.session.keys.resumption;
  await assertRefused(server, "session.refused", async () => post(await resumeBody(second.session.id, own)));
  const stray = systemRandom.bytes(16);
  await assertRefused(server, "session.refused", async () => post(await resumeBody(stray, own)));
  const body = await resumeBody(first.session.id, flipped(own));
  await assertRefused(server, "session.refused", () => post(body));
});

test("a resumption that is sent again is refused, also while the first one is on its way", async () => {
  const client = await TestClient.enroll(server, "resumer");
  await client.work(0, 0);
  const body = await resumeBody(client.session.id, client.session.keys.resumption);
  const answers = await Promise.all(Array.from({ length: 8 }, () => post(body)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200)) assertCode(answer, "session.refused");
  await assertRefused(server, "session.refused", () => post(body));
});

test("no single bit of a resumption can be turned over", async () => {
  const body = await resumeBody(first.session.id, first.session.keys.resumption);
  const before = await server.state();
  for (let at = 0; at < body.length; at += 37) {
    const answer = await post(flipped(body, at));
    assertCode(answer, answer.status === 401 ? "session.refused" : "message.malformed");
  }
  assert.deepEqual(await server.state(), before);
});

test("a session that was never confirmed cannot be resumed", async () => {
  const session = await HandSession.open(server, first.keystore);
  await assertRefused(server, "session.refused", async () =>
    post(await resumeBody(session.id, session.keys.resumption)),
  );
});

test("no key is shared with a device that did not sign the first message", async () => {
  const hello = await draftHello(first.keystore, server.clock);
  const answer = await postChallenge(server, encodeHello(hello));
  const outer = challengeAnswer.decode(answer.body);
  const { session_id } = answerMessage.decode(outer.message);
  const stolen = await HandSession.accept(server, second.keystore, hello, answer.body, "QF2-HYBRID");
  assert.deepEqual(stolen.id, session_id);
  const request = stolen.seal("GET", "/api/global_model", new Uint8Array(9));
  await assertRefused(server, "session.refused", () => stolen.send(request));
});

test("a revoked device is refused at once: its session, its ticket, a new handshake; its name is free", async () => {
  const victim = await TestClient.enroll(server, "stolen-phone");
  await victim.work(0, 0);
  const { id, keys } = victim.session;
  const body = await resumeBody(id, new Uint8Array(keys.resumption));
  const waiting = victim.session.send(victim.askForWork(0, 20_000));
  await server.admin.call("device.revoke", { name: "stolen-phone" });
  assertCode(await waiting, "session.refused");
  await assertRefused(server, "session.refused", () => victim.session.send(victim.askForWork()));
  await assertRefused(server, "session.refused", () => post(body));
  const hello = encodeHello(await draftHello(victim.keystore, server.clock));
  await assertRefused(server, "session.refused", () => postChallenge(server, hello));
  await assert.rejects(server.admin.call("device.revoke", { name: "stolen-phone" }), { code: "config.invalid" });
  const successor = await TestClient.enroll(server, "stolen-phone");
  await successor.work(0, 0);
});

async function rekeyBody(client: TestClient, fresh: DeviceKeys, changes: Partial<Signers> = {}): Promise<Bytes> {
  const { run_id, device_id, signature_secret_key } = client.keystore;
  const message = rekeyMessage.encode({ v: 1, run_id, device_id: changes.id ?? device_id, ...namedKeys(fresh) });
  const sign = (key: Uint8Array, context: string) => signature("ML-DSA-44").sign(key, message, context);
  return rekeyRequest.encode({
    message,
    old_signature: sign(changes.old ?? signature_secret_key, changes.oldContext ?? CONTEXTS.rekeyOld),
    new_signature: sign(changes.new ?? fresh.signature_secret_key, CONTEXTS.rekeyNew),
  });
}

interface Signers {
  readonly id: Bytes;
  readonly old: Uint8Array;
  readonly new: Uint8Array;
  readonly oldContext: string;
}

const rekey = (session: HandSession, body: Bytes) => session.send(session.seal("POST", "/api/rekey", body));

test("a re-key that old and new key have not both signed, for this device, is refused", async () => {
  const fresh = await freshKeys(SUITES["QF2-HYBRID"]);
  const other = signature("ML-DSA-44").generateKeyPair().secretKey;
  const tries: Partial<Signers>[] = [
    { old: other },
    { new: other },
    { id: second.keystore.device_id },
    { oldContext: CONTEXTS.rekeyNew },
    { old: fresh.signature_secret_key },
  ];
  for (const changes of tries) {
    const body = await rekeyBody(first, fresh, changes);
    await assertRefused(server, "rekey.refused", () => rekey(first.session, body));
  }
  const foreign = await rekeyBody(first, fresh);
  await assertRefused(server, "rekey.refused", () => rekey(second.session, foreign));
});

test("a re-key to keys that are or were another's, or outside of a session, is refused", async () => {
  const taken = await rekeyBody(first, second.keystore);
  await assertRefused(server, "rekey.refused", () => rekey(first.session, taken));
  const own = await rekeyBody(first, first.keystore);
  await assertRefused(server, "rekey.refused", () => rekey(first.session, own));
  const headers = { "content-type": "application/qflare-record" };
  const fresh = await rekeyBody(first, await freshKeys(SUITES["QF2-HYBRID"]));
  await assertRefused(server, "session.refused", () =>
    exchange(server, { method: "POST", path: "/api/rekey", headers, body: [fresh] }),
  );
});

test("after a re-key the old keys are nobody's, and the same request again gets the same answer", async () => {
  const client = await TestClient.enroll(server, "rekeyer");
  await client.work(0, 0);
  const fresh = await freshKeys(SUITES["QF2-HYBRID"]);
  const body = await rekeyBody(client, fresh);
  const request = client.session.seal("POST", "/api/rekey", body);
  const told = rekeyAnswer.decode(client.session.open(request, await client.session.send(request)));
  const id = deviceId(sha256(fresh.kem_public_key), fresh.signature_public_key);
  assert.deepEqual(rekeyedMessage.decode(told.message).device_id, id);
  await assertRefused(server, "session.refused", () => client.session.send(client.askForWork()));
  const hello = encodeHello(await draftHello(client.keystore, server.clock));
  await assertRefused(server, "session.refused", () => postChallenge(server, hello));
  const session = await HandSession.open(server, { ...client.keystore, ...fresh, device_id: id });
  const repeated = session.seal("POST", "/api/rekey", body);
  const again = rekeyAnswer.decode(session.open(repeated, await session.send(repeated)));
  assert.deepEqual(again.message, told.message);
  const back = rekeyMessage.encode({
    ...{ v: 1, run_id: client.keystore.run_id, device_id: id, ...namedKeys(client.keystore) },
  });
  const sign = (key: Uint8Array, context: string) => signature("ML-DSA-44").sign(key, back, context);
  const old_signature = sign(fresh.signature_secret_key, CONTEXTS.rekeyOld);
  const new_signature = sign(client.keystore.signature_secret_key, CONTEXTS.rekeyNew);
  const backwards = rekeyRequest.encode({ message: back, old_signature, new_signature });
  await assertRefused(server, "rekey.refused", () => rekey(session, backwards));
});

test("keys that count no more enrol nobody under a new token", async () => {
  const { kem_secret_key, kem_public_key, signature_secret_key, signature_public_key } = await enrollDevice(
    await server.token("once"),
  );
  await server.admin.call("device.revoke", { name: "once" });
  const token = parseToken(await server.token("twice"));
  const keys = { kem_secret_key, kem_public_key, signature_secret_key, signature_public_key };
  await assertRefused(server, "enroll.refused", () => post(enrollmentOf(token, keys), "/api/enroll"));
});

test("a rotation ends every session and ticket", async () => {
  const { id, keys } = first.session;
  const body = await resumeBody(id, new Uint8Array(keys.resumption));
  await server.admin.call("server.rotate");
  assert.equal(await server.sessions(), 0);
  await assertRefused(server, "session.refused", () => first.session.send(first.askForWork()));
  await assertRefused(server, "session.refused", () => post(body));
});

test("after all of that a round still ends with what honest devices send", async () => {
  await assertRoundEnds(server);
});

// Attacks on enrolment: tokens that are not the sender's to use, and requests that are not what was signed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodeCbor } from "../../src/core/codec.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import type { HttpAnswer } from "../../src/device/transport.ts";
import { enrollAnswer, enrollMac, enrollMessage, enrollRequest } from "../../src/wire/enroll.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { formatToken, parseToken, type Token } from "../../src/wire/token.ts";
import { assertRoundEnds } from "../support/client.ts";
import { CBOR, exchange } from "../support/http.ts";
import { assertCode, assertRefused } from "../support/refusal.ts";
import { TestServer } from "../support/server.ts";
import { alteredFields, assertWholeWalk, flipped, mldsa } from "../support/session.ts";

let server: TestServer;

before(async () => {
  server = await TestServer.start();
});

after(TestServer.closeAll);

interface DeviceKeys {
  readonly kemPublicKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

async function newKeys(): Promise<DeviceKeys> {
  const { publicKey: kemPublicKey } = await kem("FrodoKEM-640-AES").generateKeyPair();
  return { kemPublicKey, ...mldsa.generateKeyPair() };
}

interface Draft {
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly mac: Uint8Array;
}

function fieldsOf(token: Token, keys: DeviceKeys) {
  return {
    v: 1,
    enrollment_token: token.id,
    name: token.name,
    kem: "FrodoKEM-640-AES",
    kem_public_key: keys.kemPublicKey,
    signature_scheme: "ML-DSA-44",
    signature_public_key: keys.publicKey,
    server_fingerprint: token.fingerprint,
  };
}

function draft(token: Token, keys: DeviceKeys, changes: object = {}): Draft {
  const message = encodeCbor({ ...fieldsOf(token, keys), ...changes });
  const signature = mldsa.sign(keys.secretKey, message, CONTEXTS.enroll);
  return { message, signature, mac: enrollMac(token.secret, message, signature) };
}

async function post(body: Draft | Uint8Array): Promise<HttpAnswer> {
  const encoded = body instanceof Uint8Array ? body : encodeCbor(body);
  return await exchange(server, { method: "POST", path: "/api/enroll", headers: CBOR, body: [encoded] });
}

async function newToken(name: string): Promise<Token> {
  return parseToken(await server.token(name));
}

test("a used token enrols nobody else", async () => {
  const token = await newToken("used");
  const keys = await newKeys();
  assert.equal((await post(draft(token, keys))).status, 200);
  const others = draft(token, await newKeys());
  await assertRefused(server, "enroll.token_used", () => post(others));
});

test("the same enrolment sent again gets the same answer and changes nothing", async () => {
  const request = draft(await newToken("replayed"), await newKeys());
  const first = await post(request);
  assert.equal(first.status, 200);
  const before = await server.state();
  const copies = await Promise.all(Array.from({ length: 5 }, () => post(request)));
  const messages = [first, ...copies].map(({ body }) => enrollAnswer.decode(body).message);
  for (const message of messages) assert.deepEqual(message, messages[0]);
  assert.deepEqual(await server.state(), before);
});

test("an expired token enrols nobody, from the millisecond at which it expires", async () => {
  server.clock.hold();
  const request = draft(parseToken(await server.token("expired", 60_000)), await newKeys());
  server.clock.move(60_000);
  await assertRefused(server, "enroll.token_expired", () => post(request));
  server.clock.move(-1);
  assert.equal((await post(request)).status, 200);
  server.clock.release();
});

test("a revoked token enrols nobody", async () => {
  const token = await newToken("revoked");
  await server.admin.call("token.revoke", { token_id: Buffer.from(token.id).toString("hex") });
  const request = draft(token, await newKeys());
  await assertRefused(server, "enroll.token_revoked", () => post(request));
});

test("only who holds the secret learns that a token is used, expired or revoked", async () => {
  const used = await newToken("told-used");
  assert.equal((await post(draft(used, await newKeys()))).status, 200);
  const revoked = await newToken("told-revoked");
  await server.admin.call("token.revoke", { token_id: Buffer.from(revoked.id).toString("hex") });
  for (const token of [used, revoked]) {
    const guess = draft({ ...token, secret: systemRandom.bytes(24) }, await newKeys());
    await assertRefused(server, "enroll.refused", () => post(guess));
  }
});

test("a token of another server is refused", async () => {
  const foreign: Token = {
    ...(await newToken("foreign")),
    id: systemRandom.bytes(8),
    secret: systemRandom.bytes(24),
    fingerprint: systemRandom.bytes(32),
  };
  const request = draft(foreign, await newKeys());
  await assertRefused(server, "enroll.refused", () => post(request));
  await assert.rejects(enrollDevice(formatToken(foreign)), { code: "server.identity" });
});

test("an enrolment made for another server is refused under a token of this one", async () => {
  const token = await newToken("redirected");
  const request = draft(token, await newKeys(), { server_fingerprint: systemRandom.bytes(32) });
  await assertRefused(server, "enroll.refused", () => post(request));
});

test("a wrong MAC is refused", async () => {
  const request = draft(await newToken("wrong-mac"), await newKeys());
  await assertRefused(server, "enroll.refused", () => post({ ...request, mac: flipped(request.mac) }));
  await assertRefused(server, "enroll.refused", () => post({ ...request, mac: new Uint8Array(48) }));
});

test("keys swapped for others under the same MAC are refused", async () => {
  const token = await newToken("swapped");
  const honest = draft(token, await newKeys());
  const thief = await newKeys();
  const swapped = draft(token, thief);
  await assertRefused(server, "enroll.refused", () => post({ ...swapped, mac: honest.mac }));
  await assertRefused(server, "enroll.refused", () => post({ ...honest, signature: swapped.signature }));
});

test("a name other than the token's is refused", async () => {
  const token = await newToken("named");
  const request = draft(token, await newKeys(), { name: "renamed" });
  await assertRefused(server, "enroll.refused", () => post(request));
});

test("a signature by another key than the enrolled one is refused", async () => {
  const token = await newToken("unproven");
  const keys = await newKeys();
  const victim = await newKeys();
  const request = draft(token, { ...keys, publicKey: victim.publicKey });
  await assertRefused(server, "enroll.refused", () => post(request));
});

test("a signature made for another purpose is refused", async () => {
  const token = await newToken("repurposed");
  const keys = await newKeys();
  const { message } = draft(token, keys);
  const signature = mldsa.sign(keys.secretKey, message, CONTEXTS.hello);
  const request = { message, signature, mac: enrollMac(token.secret, message, signature) };
  await assertRefused(server, "enroll.refused", () => post(request));
});

test("an enrolment with any one field altered on its way is refused", async () => {
  const token = await newToken("altered");
  const keys = await newKeys();
  const honest = draft(token, keys);
  const walk = alteredFields(fieldsOf(token, keys));
  assertWholeWalk(
    walk.map(([name]) => name),
    enrollMessage.shape,
  );
  const malformed: readonly string[] = ["v", "kem", "signature_scheme"];
  for (const [name, fields] of walk) {
    const request = { ...honest, message: encodeCbor(fields) };
    await assertRefused(server, malformed.includes(name) ? "message.malformed" : "enroll.refused", () => post(request));
  }
  for (const name of ["signature", "mac"] as const) {
    await assertRefused(server, "enroll.refused", () => post({ ...honest, [name]: flipped(honest[name]) }));
  }
  assertWholeWalk(Object.keys(honest), enrollRequest.shape);
});

test("of a hundred enrolments at once with one token exactly one wins", async () => {
  const token = await newToken("contested");
  const requests = await Promise.all(Array.from({ length: 100 }, async () => draft(token, await newKeys())));
  const before = await server.state();
  const answers = await Promise.all(requests.map(post));
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
  for (const answer of answers) if (answer.status !== 200) assertCode(answer, "enroll.token_used");
  const after = await server.state();
  assert.equal(after.devices.length, before.devices.length + 1);
  assert.equal(after.audit.length, before.audit.length + 1);
  assert.match(after.audit.at(-1)!, /^device\.enrolled /);
});

test("keys that are enrolled are refused under a second token, which stays open", async () => {
  const keys = await newKeys();
  assert.equal((await post(draft(await newToken("first-name"), keys))).status, 200);
  const again = draft(await newToken("second-name"), keys);
  await assertRefused(server, "enroll.name_taken", () => post(again));
});

test("a name that is enrolled is refused under a second token, which stays open", async () => {
  assert.equal((await post(draft(await newToken("popular"), await newKeys()))).status, 200);
  const again = draft(await newToken("popular"), await newKeys());
  await assertRefused(server, "enroll.name_taken", () => post(again));
});

test("an enrolled device stays pending until it has proved its KEM key", async () => {
  assert.equal((await post(draft(await newToken("pending"), await newKeys()))).status, 200);
  assert.ok((await server.state()).devices.some((device) => / pending pending 0$/.test(device)));
});

test("after all of that a round still ends with what honest devices send", async () => {
  await assertRoundEnds(server);
});

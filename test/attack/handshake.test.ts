// Attacks on the handshake from the network and from enrolled devices: the first message, as the server takes it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ErrorCode } from "../../src/core/error.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { exchangeSizes, SUITES } from "../../src/crypto/suite.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import type { Keystore } from "../../src/device/keystore.ts";
import { helloMessage } from "../../src/wire/challenge.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { assertRoundEnds } from "../support/client.ts";
import { CBOR, requestHead, sendRaw } from "../support/http.ts";
import { assertCode, assertRefused } from "../support/refusal.ts";
import { TestServer } from "../support/server.ts";
import {
  alteredFields,
  assertWholeWalk,
  draftHello,
  encodeHello,
  flipped,
  mldsa,
  postChallenge,
} from "../support/session.ts";

let server: TestServer;
let keystore: Keystore;

before(async () => {
  server = await TestServer.start();
  keystore = await enrollDevice(await server.token("handshake"));
});

after(TestServer.closeAll);

type Changes = Parameters<typeof draftHello>[2];

/** A signed first message with these changes is refused, and opens no session. */
async function assertHelloRefused(code: ErrorCode, changes: Changes, who: Keystore = keystore): Promise<void> {
  const hello = await draftHello(who, server.clock, changes);
  const encoded = encodeHello(hello);
  await assertRefused(server, code, () => postChallenge(server, encoded));
}

test("a first message that is sent again opens no second session", async () => {
  const encoded = encodeHello(await draftHello(keystore, server.clock));
  assert.equal((await postChallenge(server, encoded)).status, 200);
  await assertRefused(server, "session.refused", () => postChallenge(server, encoded));
});

test("of the same first message sent twenty times at once one is answered", async () => {
  const encoded = encodeHello(await draftHello(keystore, server.clock));
  const answers = await Promise.all(Array.from({ length: 20 }, () => postChallenge(server, encoded)));
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
  for (const answer of answers) if (answer.status !== 200) assertCode(answer, "session.refused");
});

test("a nonce is not taken twice, under whatever else", async () => {
  const nonce = systemRandom.bytes(32);
  const first = await draftHello(keystore, server.clock, { nonce });
  assert.equal((await postChallenge(server, encodeHello(first))).status, 200);
  await assertHelloRefused("session.refused", { nonce });
});

test("a replayed first message is refused as long as its timestamp holds, to the last millisecond", async () => {
  server.clock.hold();
  const future = server.clock.nowMs() + LIMITS.clockSkewMsMax;
  const encoded = encodeHello(await draftHello(keystore, server.clock, { timestamp: future }));
  assert.equal((await postChallenge(server, encoded)).status, 200);
  server.clock.move(2 * LIMITS.clockSkewMsMax);
  // Another handshake of this millisecond makes the server forget what it may forget.
  const other = encodeHello(await draftHello(keystore, server.clock));
  assert.equal((await postChallenge(server, other)).status, 200);
  await assertRefused(server, "session.refused", () => postChallenge(server, encoded));
  server.clock.release();
});

test("a timestamp more than 300 seconds off is refused, before and after", async () => {
  server.clock.hold();
  // What was written before the server started is refused for another reason.
  server.clock.move(LIMITS.clockSkewMsMax);
  const now = server.clock.nowMs();
  for (const skewMs of [-300_000, 300_000]) {
    const hello = await draftHello(keystore, server.clock, { timestamp: now + skewMs });
    assert.equal((await postChallenge(server, encodeHello(hello))).status, 200);
    await assertHelloRefused("session.refused", { timestamp: now + skewMs + Math.sign(skewMs) });
  }
  await assertHelloRefused("session.refused", { timestamp: 0 });
  await assertHelloRefused("session.refused", { timestamp: Number.MAX_SAFE_INTEGER });
  server.clock.release();
});

test("a device that never enrolled is refused", async () => {
  const pair = mldsa.generateKeyPair();
  const stranger: Keystore = {
    ...keystore,
    device_id: systemRandom.bytes(16),
    signature_public_key: pair.publicKey,
    signature_secret_key: pair.secretKey,
  };
  await assertHelloRefused("session.refused", {}, stranger);
  await assertHelloRefused("session.refused", { device_id: keystore.device_id }, stranger);
});

test("a first message with any one field altered is refused", async () => {
  const hello = await draftHello(keystore, server.clock, { suites: ["QF2-HYBRID", "QF1-FRODO"] });
  const walk = alteredFields(hello.fields);
  assertWholeWalk(
    walk.map(([name]) => name),
    helloMessage.shape,
  );
  for (const [name, fields] of walk) {
    const message = name === "v" ? flipped(hello.message, 2) : helloMessage.encode(fields);
    const encoded = encodeHello({ message, signature: hello.signature });
    await assertRefused(server, name === "v" ? "message.malformed" : "session.refused", () =>
      postChallenge(server, encoded),
    );
  }
  const encoded = encodeHello({ ...hello, signature: flipped(hello.signature) });
  await assertRefused(server, "session.refused", () => postChallenge(server, encoded));
  assert.equal((await postChallenge(server, encodeHello(hello))).status, 200, "the message itself is good");
});

test("no single bit of a first message can be turned over", async () => {
  const encoded = encodeHello(await draftHello(keystore, server.clock));
  const before = await server.state();
  for (let at = 0; at < encoded.length; at += 41) {
    const answer = await postChallenge(server, flipped(encoded, at));
    assertCode(answer, answer.status === 401 ? "session.refused" : "message.malformed");
  }
  assert.deepEqual(await server.state(), before);
});

test("a first message signed for another purpose is refused", async () => {
  const hello = await draftHello(keystore, server.clock);
  const signature = mldsa.sign(keystore.signature_secret_key, hello.message, CONTEXTS.update);
  const encoded = encodeHello({ message: hello.message, signature });
  await assertRefused(server, "session.refused", () => postChallenge(server, encoded));
});

test("stripping the preferred suite from the offer breaks the signature", async () => {
  const { fields, signature } = await draftHello(keystore, server.clock, { suites: ["QF2-HYBRID", "QF1-FRODO"] });
  const message = helloMessage.encode({ ...fields, suites: ["QF1-FRODO"] });
  const encoded = encodeHello({ message, signature });
  await assertRefused(server, "session.refused", () => postChallenge(server, encoded));
});

test("a key for another suite than the first allowed one is refused", async () => {
  await assertHelloRefused("session.suite", { suites: ["QF1-FRODO", "QF2-HYBRID"] });
  await assertHelloRefused("session.suite", { suites: ["QF1-FRODO"] });
});

test("an ephemeral key of another length than the suite's is refused", async () => {
  const { publicKey } = exchangeSizes(SUITES["QF2-HYBRID"].ephemeral);
  for (const length of [publicKey + 1, exchangeSizes(SUITES["QF1-FRODO"].ephemeral).publicKey]) {
    await assertHelloRefused("message.malformed", { ephemeral_public_key: systemRandom.bytes(length) });
  }
  await assertHelloRefused("message.malformed", { ephemeral_public_key: systemRandom.bytes(publicKey - 1) });
});

test("an X25519 point of small order is refused, though the device has signed it", async () => {
  const { fields } = await draftHello(keystore, server.clock);
  for (const first of [0, 1]) {
    const key = new Uint8Array(fields.ephemeral_public_key);
    key.fill(0, 0, 32);
    key[0] = first;
    await assertHelloRefused("message.malformed", { ephemeral_public_key: key });
  }
});

test("an ML-KEM key that is not reduced is refused, though the device has signed it", async () => {
  const { fields } = await draftHello(keystore, server.clock);
  const key = new Uint8Array(fields.ephemeral_public_key);
  key.fill(0xff, 32, 32 + 384);
  await assertHelloRefused("kem.public_key", { ephemeral_public_key: key });
});

test("a first message with a member too many or one too few is refused", async () => {
  await assertHelloRefused("message.malformed", { extra: 1 } as Changes);
  await assertHelloRefused("message.malformed", { nonce: null });
  await assertHelloRefused("message.malformed", { suites: [] });
  await assertHelloRefused("session.suite", { suites: ["QF0-PLAIN"] });
  await assertHelloRefused("message.malformed", { timestamp: -1 });
});

test("a device that opens many sessions at once keeps no more than its share", async () => {
  const fresh = await enrollDevice(await server.token("many-sessions"));
  const before = await server.sessions();
  const hellos = await Promise.all(Array.from({ length: 6 }, () => draftHello(fresh, server.clock)));
  const pipeline = hellos.flatMap((hello, i) => {
    const body = encodeHello(hello);
    const connection = i === hellos.length - 1 ? "close" : "keep-alive";
    const headers = { ...CBOR, connection, "content-length": String(body.length) };
    return [requestHead("POST", "/api/challenge", headers), body];
  });
  const answers = await sendRaw(server, pipeline);
  assert.equal(answers.match(/HTTP\/1\.1 200 OK/g)?.length, hellos.length);
  assert.ok((await server.sessions()) - before <= LIMITS.sessionsPerDeviceMax);
});

test("after all of that a round still ends with what honest devices send", async () => {
  await assertRoundEnds(server);
});

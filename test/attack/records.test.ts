// Attacks on records: a request that is not exactly what the device sealed for this place is refused, whatever its
// cause, with the one session.refused.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { toBase64Url, toHex } from "../../src/core/bytes.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { HEADERS, RECORD_TYPE, type RecordPlace } from "../../src/wire/record.ts";
import { workRequest } from "../../src/wire/work.ts";
import { assertRoundEnds, TestClient } from "../support/client.ts";
import { exchange } from "../support/http.ts";
import { assertCode, assertRefused } from "../support/refusal.ts";
import { TestServer } from "../support/server.ts";
import {
  draftHello,
  encodeHello,
  flipped,
  HandSession,
  postChallenge,
  type SealedRequest,
} from "../support/session.ts";

const PATH = "/api/global_model";
const WORK = workRequest.encode({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });

let server: TestServer;
let client: TestClient;
let session: HandSession;

before(async () => {
  server = await TestServer.start();
  client = await TestClient.enroll(server, "recorder");
});

beforeEach(async () => {
  session = await HandSession.open(server, client.keystore);
});

after(TestServer.closeAll);

function seal(sealedAs: Partial<RecordPlace> = {}): SealedRequest {
  return session.seal("GET", PATH, WORK, { sealedAs });
}

/** Refused, and what the device really sent goes through afterwards. */
async function assertRecordRefused(request: SealedRequest): Promise<void> {
  await assertRefused(server, "session.refused", () => session.send(request));
}

function withHeaders(request: SealedRequest, headers: Readonly<Record<string, string | undefined>>): SealedRequest {
  const merged = Object.entries({ ...request.call.headers, ...headers }).filter(([, value]) => value !== undefined);
  return { ...request, call: { ...request.call, headers: Object.fromEntries(merged) as Record<string, string> } };
}

async function assertGood(request: SealedRequest): Promise<void> {
  session.open(request, await session.send(request));
}

test("a record that is sent again is refused", async () => {
  const request = seal();
  await assertGood(request);
  await assertRecordRefused(request);
});

test("of one record sent twenty times at once one is taken", async () => {
  const request = seal();
  const answers = await Promise.all(Array.from({ length: 20 }, () => session.send(request)));
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
  for (const answer of answers) if (answer.status !== 200) assertCode(answer, "session.refused");
});

test("a record with any byte altered is refused", async () => {
  const request = seal();
  for (let at = 0; at < request.record.length; at++) {
    const answer = await session.send(
      withHeaders(request, { [HEADERS.record]: toBase64Url(flipped(request.record, at)) }),
    );
    assertCode(answer, "session.refused");
  }
  await assertGood(request);
});

test("a record that is cut, lengthened or not base64url is refused", async () => {
  const request = seal();
  const text = toBase64Url(request.record);
  const texts = ["", "A", text.slice(0, -2), toBase64Url(request.record.slice(0, 15)), `${text}AAAA`, `${text}=`];
  for (const record of [...texts, `${text}!`, undefined]) {
    await assertRecordRefused(withHeaders(request, { [HEADERS.record]: record }));
  }
  await assertGood(request);
});

test("a record under another session id is refused", async () => {
  const other = await HandSession.open(server, client.keystore);
  const request = seal();
  for (const id of [
    toHex(other.id),
    toHex(flipped(session.id)),
    toHex(session.id).toUpperCase(),
    "",
    "zz",
    undefined,
  ]) {
    await assertRecordRefused(withHeaders(request, { [HEADERS.session]: id }));
  }
  const disguised = { [HEADERS.session]: toHex(other.id), [HEADERS.confirm]: toHex(other.confirmation) };
  await assertRecordRefused(withHeaders(request, disguised));
  await assertGood(request);
});

test("a record under another sequence number is refused", async () => {
  const request = seal();
  const numbers = ["1", "00", "+0", "-1", "0.0", "0x0", "1e0", " ", "NaN", "", "9007199254740993", "99999999999999999"];
  for (const sequence of [...numbers, undefined]) {
    await assertRecordRefused(withHeaders(request, { [HEADERS.sequence]: sequence }));
  }
  await assertGood(request);
});

test("a sequence number from 2^20 on is refused, though its record is well sealed", async () => {
  for (const sequence of [LIMITS.sessionRecordsMax, LIMITS.sessionRecordsMax + 1, Number.MAX_SAFE_INTEGER]) {
    await assertRecordRefused(seal({ sequence, answers: sequence }));
  }
  const last = LIMITS.sessionRecordsMax - 1;
  await assertGood(seal({ sequence: last, answers: last }));
});

test("a sequence number that has left the window is refused, though it was never used", async () => {
  const newest = LIMITS.sequenceWindowBits + 5;
  await assertGood(seal({ sequence: newest, answers: newest }));
  const tooOld = newest - LIMITS.sequenceWindowBits;
  await assertRecordRefused(seal({ sequence: tooOld, answers: tooOld }));
  await assertGood(seal({ sequence: tooOld + 1, answers: tooOld + 1 }));
});

test("a forged record does not move the window", async () => {
  const far = LIMITS.sessionRecordsMax - 1;
  const forged = withHeaders(seal({ sequence: far, answers: far }), {
    [HEADERS.record]: toBase64Url(new Uint8Array(64)),
  });
  await assertRecordRefused(forged);
  await assertGood(seal({ sequence: 0, answers: 0 }));
});

test("a record sealed for another place is refused", async () => {
  const places: Partial<RecordPlace>[] = [
    { method: "POST" },
    { path: "/api/submit_model" },
    { path: `${PATH}?x=1` },
    { path: `${PATH}/` },
    { direction: "s2c" },
    { contentType: "application/cbor" },
    { contentLength: 1 },
    { answers: 1 },
    { sessionId: new Uint8Array(16) },
  ];
  for (const sealedAs of places) await assertRecordRefused(seal({ ...sealedAs, sequence: 0 }));
  await assertGood(seal({ sequence: 0 }));
});

test("a record is refused on another path and under another query than it was sealed for", async () => {
  const request = seal();
  const moved = { ...request, call: { ...request.call, path: `${PATH}?after=1` } };
  await assertRecordRefused(moved);
  const asSubmit = { ...request.call, method: "POST", path: "/api/submit_model", body: [new Uint8Array(4)] };
  const headers = { ...request.call.headers, "content-type": "application/qflare-update" };
  await assertRefused(server, "session.refused", () => exchange(server, { ...asSubmit, headers }));
  await assertGood(request);
});

test("a record of a submission is refused where work is asked for", async () => {
  const blob = new Uint8Array(8);
  const submit = session.seal("POST", "/api/submit_model", WORK, { blob });
  const headers = { ...submit.call.headers, [HEADERS.record]: toBase64Url(submit.record) };
  await assertRefused(server, "session.refused", () => exchange(server, { method: "GET", path: PATH, headers }));
});

test("the server's own record is refused when it comes back", async () => {
  const request = seal();
  const answer = await session.send(request);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["content-type"], RECORD_TYPE);
  for (const sequence of ["0", "1"]) {
    const changes = { [HEADERS.record]: toBase64Url(answer.body), [HEADERS.sequence]: sequence };
    await assertRecordRefused(withHeaders(request, changes));
  }
});

test("the first request is refused without the confirmation or with a wrong one", async () => {
  const request = seal();
  const other = await HandSession.open(server, client.keystore);
  const wrong = [undefined, "", "00", toHex(flipped(session.confirmation)), toHex(other.confirmation)];
  for (const confirm of [...wrong, toHex(session.confirmation).toUpperCase()]) {
    await assertRecordRefused(withHeaders(request, { [HEADERS.confirm]: confirm }));
  }
  await assertGood(request);
});

test("a wrong confirmation is refused on a live session too", async () => {
  await assertGood(seal());
  const request = seal();
  const confirm = toHex(flipped(session.confirmation));
  await assertRecordRefused(withHeaders(request, { [HEADERS.confirm]: confirm }));
  await assertGood(withHeaders(request, { [HEADERS.confirm]: undefined }));
});

test("the right confirmation without a record that opens does not bring a session to life", async () => {
  const request = seal();
  await assertRecordRefused(withHeaders(request, { [HEADERS.record]: toBase64Url(flipped(request.record)) }));
  await assertRecordRefused(withHeaders(request, { [HEADERS.confirm]: undefined }));
  await assertGood(request);
});

test("a header that comes twice is refused", async () => {
  const request = seal();
  await assertRecordRefused(withHeaders(request, { [HEADERS.sequence]: "0, 0" }));
  await assertRecordRefused(withHeaders(request, { [HEADERS.session]: `${toHex(session.id)}, ${toHex(session.id)}` }));
  await assertGood(request);
});

test("a session that was not confirmed within 30 seconds is refused", async () => {
  server.clock.move(30_000);
  await assertRecordRefused(seal());
  server.clock.release();
});

test("a session that was idle for 15 minutes is refused", async () => {
  server.clock.hold();
  await assertGood(seal());
  server.clock.move(LIMITS.sessionIdleMsMax);
  await assertRecordRefused(seal());
  server.clock.release();
});

test("the keys of a session end after an hour, however busy", async () => {
  server.clock.hold();
  const opened = server.clock.nowMs();
  session = await HandSession.open(server, client.keystore);
  for (const age of Array.from({ length: 100 }, (_, i) => i * 36_363)) {
    server.clock.move(opened + age - server.clock.nowMs());
    await assertGood(seal());
  }
  server.clock.move(opened + LIMITS.sessionKeyAgeMsMax - server.clock.nowMs());
  await assertRecordRefused(seal());
  server.clock.release();
});

test("every refused session looks the same from outside", async () => {
  const challenge = async () => {
    const stale = await draftHello(client.keystore, server.clock, { timestamp: 0 });
    return await postChallenge(server, encodeHello(stale));
  };
  const refused = [
    await challenge(),
    await session.send(withHeaders(seal(), { [HEADERS.session]: "00".repeat(16) })),
    await session.send(withHeaders(seal(), { [HEADERS.confirm]: undefined })),
    await session.send(withHeaders(seal(), { [HEADERS.record]: "AAAA" })),
    await session.send(seal({ sequence: LIMITS.sessionRecordsMax })),
    await exchange(server, { method: "GET", path: PATH }),
    await session.send(
      session.seal("POST", "/api/submit_model", WORK, { blob: new Uint8Array(9), sealedAs: { path: "/" } }),
    ),
  ];
  const shape = ({ status, headers, body }: (typeof refused)[number]) => {
    const { date: _date, ratelimit: _limit, "ratelimit-policy": _policy, ...rest } = headers;
    return { status, rest, body: Buffer.from(body).toString() };
  };
  for (const answer of refused) assert.deepEqual(shape(answer), shape(refused[0]!));
});

test("after all of that a round still ends with what honest devices send", async () => {
  await assertRoundEnds(server);
});

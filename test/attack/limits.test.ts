// Floods: each kind of request has its limit a minute and client, and what is over it changes nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemRandom } from "../../src/crypto/random.ts";
import type { HttpAnswer } from "../../src/device/transport.ts";
import { DEFAULT_RATE_LIMITS, type LimitName } from "../../src/server/limiter.ts";
import { HEADERS } from "../../src/wire/record.ts";
import { assertRoundEnds, TestClient } from "../support/client.ts";
import { CBOR, exchange, type RawCall } from "../support/http.ts";
import { assertCode } from "../support/refusal.ts";
import { TestServer } from "../support/server.ts";

let server: TestServer;
let flooder: TestClient;
let other: TestClient;

before(async () => {
  server = await TestServer.start({ rateLimits: DEFAULT_RATE_LIMITS });
  flooder = await TestClient.enroll(server, "flooder");
  other = await TestClient.enroll(server, "other");
});

after(TestServer.closeAll);

function assertLimited(answer: HttpAnswer, name: LimitName): void {
  assertCode(answer, "request.rate_limited");
  assertCounted(answer, name, 0);
  const seconds = Number(answer.headers["retry-after"]);
  assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60);
}

function assertCounted(answer: HttpAnswer, name: LimitName, left: number): void {
  assert.equal(answer.headers["ratelimit-policy"], `"${name}";q=${DEFAULT_RATE_LIMITS[name]};w=60`);
  assert.match(String(answer.headers.ratelimit), new RegExp(`^"${name}";r=${left};t=([1-9]|[1-5][0-9]|60)$`));
}

/** Uses the share up from an address that nobody used, then asks for one too many, which changes nothing. */
async function flood(name: LimitName, call: RawCall): Promise<void> {
  const quota = DEFAULT_RATE_LIMITS[name];
  for (let i = 1; i <= quota; i++) {
    const answer = await exchange(server, call);
    assert.notEqual(answer.status, 429, `${i} of ${quota}`);
    assertCounted(answer, name, quota - i);
  }
  const before = await server.state();
  assertLimited(await exchange(server, call), name);
  assert.deepEqual(await server.state(), before);
}

test("the limits are those of the specification", () => {
  assert.deepEqual(DEFAULT_RATE_LIMITS, { enroll: 5, challenge: 30, submit: 10, model: 60, log: 600 });
});

test("a sixth enrolment within a minute is answered with 429", async () => {
  const call = { method: "POST", path: "/api/enroll", headers: CBOR, body: [new Uint8Array(9)] };
  await flood("enroll", { ...call, from: "127.0.0.2" });
  const elsewhere = await exchange(server, { ...call, from: "127.0.0.3" });
  assertCode(elsewhere, "message.malformed");
});

test("a 31st challenge within a minute is answered with 429", async () => {
  const call = { method: "POST", path: "/api/challenge", headers: CBOR, body: [new Uint8Array(9)] };
  await flood("challenge", { ...call, from: "127.0.0.4" });
  assertCode(await exchange(server, { ...call, from: "127.0.0.5" }), "message.malformed");
});

test("an 11th submission within a minute is answered with 429", async () => {
  const headers = { "content-type": "application/qflare-update" };
  const call = { method: "POST", path: "/api/submit_model", headers, body: [new Uint8Array(9)] };
  await flood("submit", { ...call, from: "127.0.0.6" });
  assert.notEqual((await exchange(server, { ...call, from: "127.0.0.7" })).status, 429);
});

test("a 61st request for work or a model within a minute is answered with 429", async () => {
  await flood("model", { method: "GET", path: "/api/global_model", from: "127.0.0.8" });
  const model = { method: "GET", path: `/api/models/${"0".repeat(64)}` };
  assertLimited(await exchange(server, { ...model, from: "127.0.0.8" }), "model");
  assertCode(await exchange(server, { ...model, from: "127.0.0.9" }), "request.not_found");
});

test("a device has a share of its own, wherever it calls from", async () => {
  const quota = DEFAULT_RATE_LIMITS.model;
  for (let i = 1; i <= quota; i++) {
    const { call } = flooder.askForWork();
    const answer = await exchange(server, { ...call, from: i % 2 === 0 ? "127.0.0.10" : "127.0.0.11" });
    assert.equal(answer.status, 200);
    assertCounted(answer, "model", quota - i);
  }
  assertLimited(await exchange(server, { ...flooder.askForWork().call, from: "127.0.0.12" }), "model");
  const neighbour = other.askForWork();
  const answer = await exchange(server, { ...neighbour.call, from: "127.0.0.10" });
  assert.equal(answer.status, 200);
  assertCounted(answer, "model", quota - 1);
});

test("made-up session ids do not give a client more than its share", async () => {
  const call = { method: "GET", path: "/api/global_model", from: "127.0.0.13" };
  const made = (): RawCall => ({
    ...call,
    headers: { [HEADERS.session]: Buffer.from(systemRandom.bytes(16)).toString("hex") },
  });
  for (let i = 0; i < DEFAULT_RATE_LIMITS.model; i++) assertCode(await exchange(server, made()), "session.refused");
  assertLimited(await exchange(server, made()), "model");
});

test("a header that names another address does not give a client more than its share", async () => {
  const call = { method: "POST", path: "/api/enroll", body: [new Uint8Array(9)], from: "127.0.0.14" };
  const headers = (i: number) => ({ ...CBOR, "x-forwarded-for": `10.0.0.${i}`, forwarded: `for=10.0.0.${i}` });
  for (let i = 0; i < DEFAULT_RATE_LIMITS.enroll; i++) {
    assertCode(await exchange(server, { ...call, headers: headers(i) }), "message.malformed");
  }
  assertLimited(await exchange(server, { ...call, headers: headers(99) }), "enroll");
});

test("after all of that a round still ends with what honest devices send", async () => {
  await assertRoundEnds(server);
});

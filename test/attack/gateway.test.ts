// Attacks on the gateway itself: paths, methods, sizes, encodings and TLS that it does not offer.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { concat } from "../../src/core/bytes.ts";
import { ERRORS, type ErrorCode } from "../../src/core/error.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import type { Keystore } from "../../src/device/keystore.ts";
import { challengeRequest } from "../../src/wire/challenge.ts";
import { assertRoundEnds } from "../support/client.ts";
import { CBOR, exchange, handshakeError, type RawCall, requestHead, sendRaw } from "../support/http.ts";
import { assertRefused } from "../support/refusal.ts";
import { TestServer } from "../support/server.ts";
import { draftHello, encodeHello } from "../support/session.ts";

let server: TestServer;
let keystore: Keystore;

before(async () => {
  server = await TestServer.start();
  keystore = await enrollDevice(await server.token("visitor"));
});

after(TestServer.closeAll);

async function assertCallRefused(code: ErrorCode, call: RawCall): Promise<void> {
  await assertRefused(server, code, () => exchange(server, call));
}

test("a path that is not served is answered with a coded 404", async () => {
  const paths = [
    "/",
    "/api",
    "/api/",
    "/api/enroll/",
    "/api/enrol",
    "/API/ENROLL",
    "/.git/config",
    "/api/models/",
    "/*",
  ];
  for (const path of [...paths, "/api/models/../../server.key", "/api/models/..%2f..%2fserver.key", "//api/health"]) {
    await assertCallRefused("request.not_found", { method: "GET", path });
  }
});

test("a model digest that is none, or of a blob that is no model, is answered with a coded 404", async () => {
  const digests = ["0", "zz", "0".repeat(63), "0".repeat(64), "A".repeat(64), "0".repeat(66), "%00".repeat(32)];
  for (const digest of digests) {
    await assertCallRefused("request.not_found", { method: "GET", path: `/api/models/${digest}` });
  }
});

test("a path that cannot be read, or is longer than any, is answered with a code", async () => {
  await assertCallRefused("message.malformed", { method: "GET", path: "/api/models/%zz" });
  await assertCallRefused("message.malformed", { method: "GET", path: "/%" });
  await assertCallRefused("request.not_found", { method: "GET", path: `/api/models/${"0".repeat(4000)}` });
});

test("a method that a path does not serve is answered with a coded 404", async () => {
  const calls: [string, string][] = [
    ["GET", "/api/enroll"],
    ["PUT", "/api/enroll"],
    ["DELETE", "/api/enroll"],
    ["PATCH", "/api/challenge"],
    ["OPTIONS", "/api/challenge"],
    ["TRACE", "/api/health"],
    ["PROPFIND", "/api/health"],
    ["POST", "/api/health"],
    ["POST", "/api/global_model"],
    ["GET", "/api/submit_model"],
    ["PUT", "/api/submit_model"],
  ];
  for (const [method, path] of calls) await assertCallRefused("request.not_found", { method, path });
});

test("a HEAD request is not served, so that no answer comes without its body", async () => {
  for (const path of ["/api/health", "/api/identity", "/api/global_model"]) {
    assert.equal((await exchange(server, { method: "HEAD", path })).status, 404);
  }
});

test("a control message over its limit is answered with a coded 413, before it is read", async () => {
  const path = "/api/challenge";
  for (const length of [challengeRequest.bytesMax + 1, LIMITS.controlMessageBytesMax + 1]) {
    await assertCallRefused("message.too_large", {
      method: "POST",
      path,
      headers: CBOR,
      body: [new Uint8Array(length)],
    });
  }
  const before = await server.state();
  const head = requestHead("POST", path, { ...CBOR, "content-length": String(2 ** 40) });
  assert.match(await sendRaw(server, [head]), /^HTTP\/1\.1 413 .*"message\.too_large"/s);
  const chunked = requestHead("POST", path, { ...CBOR, "transfer-encoding": "chunked" });
  const chunk = Buffer.concat([Buffer.from("6000\r\n"), Buffer.alloc(0x6000), Buffer.from("\r\n")]);
  assert.match(await sendRaw(server, [chunked, chunk]), /^HTTP\/1\.1 413 .*"message\.too_large"/s);
  assert.deepEqual(await server.state(), before);
});

test("a request without a body where one is due is refused", async () => {
  const before = await server.state();
  for (const path of ["/api/enroll", "/api/challenge", "/api/submit_model"]) {
    const bare = await sendRaw(server, [requestHead("POST", path, {})]);
    assert.match(bare, /^HTTP\/1\.1 415 .*"request\.media_type"/s);
    const empty = await sendRaw(server, [requestHead("POST", path, { "content-length": "0" })]);
    assert.match(empty, /^HTTP\/1\.1 415 .*"request\.media_type"/s);
  }
  for (const path of ["/api/enroll", "/api/challenge"]) {
    const typed = await sendRaw(server, [requestHead("POST", path, CBOR)]);
    assert.match(typed, /^HTTP\/1\.1 400 .*"message\.malformed"/s);
  }
  const typed = requestHead("POST", "/api/submit_model", { "content-type": "application/qflare-update" });
  assert.match(await sendRaw(server, [typed]), /^HTTP\/1\.1 400 .*"message\.length_mismatch"/s);
  assert.deepEqual(await server.state(), before);
});

test("a body of another content type is refused", async () => {
  const types = ["application/json", "text/plain", "application/qflare-update", "application/x-cbor", "cbor", "*/*"];
  for (const path of ["/api/enroll", "/api/challenge"]) {
    for (const type of types) {
      const call = { method: "POST", path, headers: { "content-type": type }, body: [new Uint8Array(9)] };
      await assertCallRefused("request.media_type", call);
    }
  }
});

const hex = (text: string): Uint8Array => Buffer.from(text, "hex");

test("CBOR that no deterministic encoder writes is refused, at whatever depth it stands", async () => {
  const hello = encodeHello(await draftHello(keystore, server.clock));
  const forms: Record<string, Uint8Array> = {
    "nothing at all": new Uint8Array(0),
    "bytes behind the end": concat(hello, new Uint8Array(1)),
    "the same twice": concat(hello, hello),
    "an end that is missing": hello.subarray(0, -1),
    "a duplicate key": hex("a2616101616102"),
    "an indefinite map": hex("bf616101ff"),
    "an indefinite text": hex("7f6161ff"),
    "indefinite bytes": hex("5f4161ff"),
    "an indefinite list": hex("9f01ff"),
    "a number longer than needed": hex("a161611801"),
    "a length longer than needed": hex("a16161580161"),
    "keys in another order": hex("a2616201616101"),
    "a tag": hex("a16161c101"),
    undefined: hex("a16161f7"),
    "not a number": hex("a16161f97e00"),
    infinity: hex("a16161f97c00"),
    "a float for a whole number": hex("a16161fb3ff0000000000000"),
    "a number over 2^53": hex("a161611bffffffffffffffff"),
    "a key that is no text": hex("a10101"),
    "a list for a map": hex("8101"),
    "text that is not UTF-8": hex("a161616180"),
    "a length over the end": hex("a161615affffffff"),
    "a map of four thousand million": hex("baffffffff"),
    "ten thousand lists in one another": new Uint8Array(10_000).fill(0x81),
    "ten thousand maps in one another": hex("a16161".repeat(5000)),
    noise: systemRandom.bytes(4000),
  };
  for (const [name, body] of Object.entries(forms)) {
    for (const path of ["/api/challenge", "/api/enroll"]) {
      const call = { method: "POST", path, headers: CBOR, body: [body] };
      await assertCallRefused("message.malformed", call).catch((cause: Error) => {
        throw new Error(`${name}: ${cause.message}`, { cause });
      });
    }
  }
  const outer = encodeHello({ message: hex("bf617601ff") as never, signature: new Uint8Array(2420) });
  await assertCallRefused("message.malformed", {
    method: "POST",
    path: "/api/challenge",
    headers: CBOR,
    body: [outer],
  });
});

/** Nothing of what was sent is in the answer, nor which byte was wrong. */
function assertLast(answer: string, code: ErrorCode): void {
  const { status, text } = ERRORS[code];
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
  const [head, body] = answer.split("\r\n\r\n");
  assert.match(head!, /^connection: close$/im);
  assert.match(head!, /^content-type: application\/json; charset=utf-8$/im);
  assert.deepEqual(JSON.parse(body!), { error: code, message: text });
}

test("headers longer than the server reads are refused", async () => {
  const before = await server.state();
  const head = requestHead("GET", "/api/global_model", { "qflare-record": "A".repeat(40_000) });
  assertLast(await sendRaw(server, [head]), "request.headers_too_large");
  assert.deepEqual(await server.state(), before);
});

test("a request that can be read in two ways is refused", async () => {
  const before = await server.state();
  const both = requestHead("POST", "/api/enroll", { ...CBOR, "content-length": "4", "transfer-encoding": "chunked" });
  assertLast(await sendRaw(server, [both, Buffer.from("0\r\n\r\n")]), "message.malformed");
  const twice = Buffer.from("POST /api/enroll HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na");
  assertLast(await sendRaw(server, [twice]), "message.malformed");
  const bent = Buffer.from("GET /api/health HTTP/1.1\nhost: x\n\n");
  assertLast(await sendRaw(server, [bent]), "message.malformed");
  assert.deepEqual(await server.state(), before);
});

test("bytes that are no HTTP end the connection and nothing else", async () => {
  const before = await server.state();
  for (const bytes of [
    systemRandom.bytes(1000),
    new Uint8Array(1000),
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  ]) {
    assertLast(await sendRaw(server, [bytes]), "message.malformed");
  }
  assert.deepEqual(await server.state(), before);
});

test("a TLS client with the hybrid group is served", async () => {
  assert.equal(await handshakeError(server, {}), undefined);
  assert.equal(await handshakeError(server, { ecdhCurve: "X25519MLKEM768" }), undefined);
});

test("a TLS client without the hybrid group is refused", async () => {
  for (const ecdhCurve of ["X25519", "P-256", "X25519:P-256:P-384"]) {
    assert.match((await handshakeError(server, { ecdhCurve })) ?? "served", /handshake|alert/i);
  }
});

test("TLS 1.2 is refused", async () => {
  assert.match((await handshakeError(server, { maxVersion: "TLSv1.2" })) ?? "served", /version|alert/i);
});

test("the server still serves after all of that", async () => {
  const answer = await exchange(server, { method: "GET", path: "/api/health" });
  assert.equal(answer.status, 200);
  assert.equal((JSON.parse(Buffer.from(answer.body).toString()) as { status: string }).status, "ok");
});

test("after all of that a round still ends with what honest devices send", async () => {
  await assertRoundEnds(server);
});

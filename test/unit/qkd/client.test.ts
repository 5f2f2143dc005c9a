import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { Authority } from "../../../src/qkd/authority.ts";
import { QkdClient } from "../../../src/qkd/client.ts";
import type { QkdLink } from "../../../src/qkd/link-file.ts";
import { QkdDevicePsk, QkdServerPsk } from "../../../src/qkd/psk.ts";

// A KME that answers whatever a test wants.

const ID = "8a2f5dc5-3f0a-4c5f-9d1e-0c7c7ad1c0de";
const KEY = Buffer.alloc(32, 7).toString("base64");
const STATUS = {
  ...{ source_KME_ID: "a", target_KME_ID: "b", master_SAE_ID: "ward-1", slave_SAE_ID: "server", key_size: 256 },
  ...{ stored_key_count: 1, max_key_count: 1, max_key_per_request: 1, max_key_size: 256, min_key_size: 8 },
  max_SAE_ID_count: 0,
};
let answer: (path: string, response: ServerResponse) => void;
let kme: Server;
let client: QkdClient;
let link: QkdLink;
/** Answers that stay what they are, however often they are asked for. */
const REFUSALS: readonly (readonly [body: unknown, status: number])[] = [
  [{ message: "no such SAE" }, 400],
  [{ message: "who are you" }, 401],
  [{ message: "not you" }, 403],
  [{ message: "no such door" }, 404],
  [{ message: "broken" }, 500],
  ["{}", 200],
  ["<html>", 200],
  ["<html>", 403],
];
const log: string[] = [];
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

before(async () => {
  const authority = await Authority.create(Date.now());
  const own = await authority.certify("kme", "127.0.0.1");
  kme = createServer({ cert: own.certificate, key: own.key }, (request, response) => answer(request.url!, response));
  await new Promise<void>((resolve) => kme.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(kme.address() as AddressInfo).port}`;
  const sae = await authority.certify("ward-1");
  link = { url, sae: "ward-1", peer: "server", authority: authority.certificate, ...sae, tls: "post-quantum" };
  client = new QkdClient(link);
});
after(() => {
  client.close();
  kme.closeAllConnections();
  kme.close();
});

const says =
  (body: unknown, status = 200) =>
  (_: string, response: ServerResponse): void => {
    response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  };
const code = (name: string) => (error: unknown) => (error as { code: string }).code === name;

test("an answer that is not as the standard says is refused", async () => {
  const wrong: unknown[] = [
    ...["", "{", "null", [], {}, { keys: [] }],
    { keys: [{ key_ID: ID, key: "not base64!" }] },
    { keys: [{ key_ID: ID, key: Buffer.alloc(31).toString("base64") }] },
    { keys: [{ key_ID: "1", key: KEY }] },
    {
      keys: [
        { key_ID: ID, key: KEY },
        { key_ID: ID, key: KEY },
      ],
    },
  ];
  for (const body of wrong) {
    answer = says(body);
    await assert.rejects(client.freshKey("server"), code("qkd.malformed"), JSON.stringify(body));
  }
});

test("another key than the one that was asked for is refused", async () => {
  answer = says({ keys: [{ key_ID: ID.replace("8", "9"), key: KEY }] });
  await assert.rejects(client.keyOf("server", ID), code("qkd.malformed"));
});

test("members beside those of the standard are passed over", async () => {
  answer = says({ keys: [{ key_ID: ID, key: KEY, key_extension: {} }], key_container_extension: {} });
  assert.equal((await client.keyOf("server", ID)).key.length, 32);
});

test("errors of the KME, an endless answer and a broken one are told apart from keys", async () => {
  answer = says({ message: "no keys" }, 503);
  await assert.rejects(client.freshKey("server"), code("qkd.unavailable"));
  answer = says({ message: "who are you" }, 401);
  await assert.rejects(client.freshKey("server"), code("qkd.refused"));
  answer = says("<html>", 500);
  await assert.rejects(client.freshKey("server"), code("qkd.malformed"));
  answer = (_, response) => response.writeHead(200).end("x".repeat(300_000));
  await assert.rejects(client.freshKey("server"), code("qkd.malformed"));
  answer = (_, response) => void response.socket!.end("this is no HTTP\r\n\r\n");
  await assert.rejects(client.freshKey("server"), code("qkd.malformed"));
  answer = (_, response) => response.destroy();
  await assert.rejects(client.freshKey("server"), code("qkd.unavailable"));
});

test("a KME that is busy, or away behind another server, is away, whatever that server's page says", async () => {
  for (const status of [429, 502, 503, 504]) {
    answer = says("<html>", status);
    await assert.rejects(client.status("server"), code("qkd.unavailable"));
  }
});

test("a device offers the name of its SAE and fetches the key that the server names", async () => {
  const psk = new QkdDevicePsk(client, link, "require", (text) => log.push(text));
  answer = says(STATUS);
  assert.deepEqual(await psk.offer(), [utf8("qkd:ward-1")]);
  answer = says({ keys: [{ key_ID: ID, key: KEY }] });
  assert.equal((await psk.take(utf8(`qkd:${ID}`)))!.length, 32);
});

test("a device that requires a quantum key goes nowhere without one", async () => {
  const psk = new QkdDevicePsk(client, link, "require", (text) => log.push(text));
  await assert.rejects(psk.take(null), code("session.psk"));
  for (const [body, status] of REFUSALS) {
    answer = says(body, status);
    await assert.rejects(psk.offer(), code("session.psk"), `${status}`);
    await assert.rejects(psk.take(utf8(`qkd:${ID}`)), code("session.psk"), `${status}`);
  }
  answer = says({ message: "no" }, 503);
  await assert.rejects(psk.offer(), code("qkd.unavailable"));
  await assert.rejects(psk.take(utf8(`qkd:${ID}`)), code("qkd.unavailable"));
});

test("a device that prefers one goes on without, but not where the server has mixed one in", async () => {
  const psk = new QkdDevicePsk(client, link, "prefer", (text) => log.push(text));
  answer = says({ message: "no" }, 503);
  assert.deepEqual(await psk.offer(), []);
  assert.equal(await psk.take(null), undefined);
  await assert.rejects(psk.take(utf8(`qkd:${ID}`)), code("qkd.unavailable"));
  for (const id of ["qkd:x", "other:x"]) await assert.rejects(psk.take(utf8(id)), code("session.psk"));
  await assert.rejects(psk.take(Uint8Array.of(0xff)), code("session.psk"));
  assert.equal(log.length, 2);
});

test("a server mixes in a fresh key for the SAE that the device names", async () => {
  let asked = "";
  answer = (path, response) => {
    asked = path;
    says({ keys: [{ key_ID: ID, key: KEY }] })(path, response);
  };
  const psk = new QkdServerPsk(client, "prefer", quiet);
  const chosen = await psk.choose(new Uint8Array(16), [Uint8Array.of(0xff), utf8("site:1"), utf8("qkd:ward-1")]);
  assert.deepEqual(chosen!.id, utf8(`qkd:${ID}`));
  assert.equal(asked, "/api/v1/keys/ward-1/enc_keys");
});

test("a server that requires a quantum key refuses a device without one and a KME without keys", async () => {
  const psk = new QkdServerPsk(client, "require", quiet);
  const choose = () => psk.choose(new Uint8Array(16), [utf8("qkd:ward-1")]);
  for (const [body, status] of REFUSALS) {
    answer = says(body, status);
    await assert.rejects(choose(), code("session.psk"), `${status}`);
  }
  answer = says({ message: "the vault at 10.0.0.7 is empty" }, 503);
  await assert.rejects(psk.choose(new Uint8Array(16), []), code("session.psk"));
  await assert.rejects(psk.choose(new Uint8Array(16), [utf8("qkd:../../x")]), code("session.psk"));
  await assert.rejects(choose(), (error) => code("qkd.unavailable")(error) && !/10\.0\.0\.7/.test(String(error)));
  const preferring = new QkdServerPsk(client, "prefer", quiet);
  assert.equal(await preferring.choose(new Uint8Array(16), [utf8("qkd:ward-1")]), undefined);
});

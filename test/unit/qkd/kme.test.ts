import assert from "node:assert/strict";
import { request } from "node:https";
import { after, before, test } from "node:test";
import { toHex } from "../../../src/core/bytes.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { Authority } from "../../../src/qkd/authority.ts";
import { QkdClient } from "../../../src/qkd/client.ts";
import type { QkdLink } from "../../../src/qkd/link-file.ts";
import { QuantumLink } from "../../../src/qkd/quantum-link.ts";
import { SimulatedKme } from "../../../src/qkd/simulated-kme.ts";

const HOST = "127.0.0.1";
let nowMs = Date.now();
const clock = { nowMs: () => nowMs };
const link = new QuantumLink({ keysPerSecond: 10, keyCountMax: 20 }, clock, systemRandom);
const clients: QkdClient[] = [];
const kmes: SimulatedKme[] = [];
const links: Record<string, QkdLink> = {};
let authority: Authority;

async function startKme(id: string, peerId: string): Promise<string> {
  const tls = { ...(await authority.certify(id, HOST)), authority: authority.certificate };
  const kme = new SimulatedKme({ id, peerId, link, tls });
  kmes.push(kme);
  return await kme.listen(HOST, 0);
}

async function clientOf(sae: string, url: string, by = authority): Promise<QkdClient> {
  const certified = await by.certify(sae);
  links[sae] = { url, sae, peer: undefined, authority: authority.certificate, ...certified, tls: "post-quantum" };
  const client = new QkdClient(links[sae]!);
  clients.push(client);
  return client;
}

let [urlA, urlB] = ["", ""];
let server: QkdClient;
let device: QkdClient;

before(async () => {
  authority = await Authority.create(Date.now());
  urlA = await startKme("kme-a", "kme-b");
  urlB = await startKme("kme-b", "kme-a");
  server = await clientOf("server", urlA);
  device = await clientOf("ward-1", urlB);
});
after(async () => {
  for (const client of clients) client.close();
  await Promise.all(kmes.map((kme) => kme.close()));
});

const code = (name: string) => (error: unknown) => (error as { code: string }).code === name;

/** Any request, as the standard or a stranger would send it. */
function call(sae: string, method: string, path: string, body = ""): Promise<{ status: number; body: string }> {
  const { url, authority: ca, certificate: cert, key } = links[sae]!;
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, url), { method, ca, cert, key, agent: false }, (response) => {
      let text = "";
      response.on("data", (piece: Buffer) => {
        text += piece.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode!, body: text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

test("the slave finds at its own KME the key that the master took, under the same name", async () => {
  const taken = await server.freshKey("ward-1");
  const found = await device.keyOf("server", taken.id);
  assert.equal(taken.key.length, 32);
  assert.equal(toHex(found.key), toHex(taken.key));
});

test("a key is given once, and to nobody else", async () => {
  const taken = await server.freshKey("ward-1");
  const stranger = await clientOf("ward-2", urlB);
  await assert.rejects(stranger.keyOf("server", taken.id), code("qkd.refused"));
  await assert.rejects(device.keyOf("other-server", taken.id), code("qkd.refused"));
  await device.keyOf("server", taken.id);
  await assert.rejects(device.keyOf("server", taken.id), code("qkd.refused"));
});

test("an SAE without a certificate of the authority is not let in", async () => {
  const false_ = await Authority.create(Date.now());
  const liar = await clientOf("ward-1-again", urlB, false_);
  await assert.rejects(liar.status("server"), code("qkd.unavailable"));
});

test("a KME without a certificate of the authority gets no request", async () => {
  const other = await Authority.create(Date.now());
  const careful = new QkdClient({ ...links["ward-1"]!, authority: other.certificate });
  clients.push(careful);
  await assert.rejects(careful.status("server"), code("qkd.unavailable"));
});

test("an empty store answers 503 and fills again at its rate", async () => {
  await assert.doesNotReject(call("server", "GET", "/api/v1/keys/ward-1/enc_keys?number=10&size=256"));
  while (link.storedCount > 0) await server.freshKey("ward-1");
  await assert.rejects(server.freshKey("ward-1"), code("qkd.unavailable"));
  nowMs += 500;
  assert.equal((await server.status("ward-1")).stored_key_count, 5);
  await server.freshKey("ward-1");
  nowMs += 60_000;
  assert.equal((await server.status("ward-1")).stored_key_count, 20);
});

test("a key that nobody fetches is forgotten", async () => {
  const taken = await server.freshKey("ward-1");
  nowMs += 11 * 60_000;
  await assert.rejects(device.keyOf("server", taken.id), code("qkd.refused"));
});

test("requests without a body are served as section 5 of the standard has them", async () => {
  const taken = await call("server", "GET", "/api/v1/keys/ward-1/enc_keys");
  const { keys } = JSON.parse(taken.body) as { keys: { key_ID: string; key: string }[] };
  assert.equal(taken.status, 200);
  assert.equal(Buffer.from(keys[0]!.key, "base64").length, 32);
  const found = await call("ward-1", "GET", `/api/v1/keys/server/dec_keys?key_ID=${keys[0]!.key_ID}`);
  assert.deepEqual(JSON.parse(found.body), { keys });
});

test("what does not fit the standard is answered 400 or 404 with a message, and costs no key", async () => {
  const before = link.storedCount;
  const wrong: [string, string, string?][] = [
    ["POST", "/api/v1/keys/ward-1/enc_keys", "no json"],
    ["POST", "/api/v1/keys/ward-1/enc_keys", '{"number":0}'],
    ["POST", "/api/v1/keys/ward-1/enc_keys", '{"number":1000000}'],
    ["POST", "/api/v1/keys/ward-1/enc_keys", '{"size":257}'],
    ["POST", "/api/v1/keys/ward-1/enc_keys", "[]"],
    ["POST", "/api/v1/keys/ward-1/dec_keys", '{"key_IDs":[]}'],
    ["POST", "/api/v1/keys/ward-1/dec_keys", '{"key_IDs":[{"key_ID":"x"}]}'],
    ["GET", "/api/v1/keys/ward-1/other"],
    ["GET", "/api/v1/keys/a%20b/status"],
    ["GET", "/"],
  ];
  for (const [method, path, body] of wrong) {
    const answer = await call("server", method, path, body);
    assert.ok([400, 404].includes(answer.status), `${method} ${path} ${body}: ${answer.status}`);
    assert.equal(typeof (JSON.parse(answer.body) as { message: unknown }).message, "string");
  }
  assert.equal(link.storedCount, before);
});

test("members that vendors add are passed over", async () => {
  const body = JSON.stringify({ number: 1, extension_optional: [{ vendor: 1 }] });
  assert.equal((await call("server", "POST", "/api/v1/keys/ward-1/enc_keys", body)).status, 200);
});

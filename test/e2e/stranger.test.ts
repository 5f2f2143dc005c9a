import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { readExamples } from "../../scripts/wire-tables/page.ts";
import * as stranger from "../support/stranger.ts";
import * as trees from "../support/stranger-trees.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const { Refused, Stranger } = stranger;
const root = new URL("../../", import.meta.url);
const ALLOWED = ["node:crypto", "node:https", "node:tls", "cborg", "./plain-frodo.ts", "./stranger-trees.ts"];

let server: TinyServer;

before(async () => {
  server = await startTinyServer();
});

after(async () => {
  await server.close();
});

async function newToken(name: string): Promise<string> {
  const { token } = await server.admin("token.create", { name, age_ms: 600_000 });
  return String(token);
}

test("the stranger's client imports nothing of the product", () => {
  for (const [file, allowed] of [
    ["stranger.ts", ALLOWED],
    ["plain-frodo.ts", ["node:crypto"]],
    ["stranger-trees.ts", ["node:crypto"]],
  ] as const) {
    const text = readFileSync(new URL(`test/support/${file}`, root), "utf8");
    const imported = [...text.matchAll(/(?:from |import\()"([^"]+)"/g)].map((match) => match[1]);
    assert.ok(imported.length > 0);
    for (const name of imported) assert.ok((allowed as readonly string[]).includes(name), `${file} imports ${name}`);
  }
});

test("a client written from docs/wire.md alone enrols, trains, submits, and sees its outcome", async () => {
  const device = await Stranger.enroll(await newToken("stranger"));
  await device.openSession();
  const work = await device.askForWork(0);
  assert.equal(work.state, "train");
  assert.equal(work.task?.round, 1);
  const model = await device.fetchModel(work);
  assert.deepEqual(model.parameters, new Float32Array(server.parameters));

  const delta = Float32Array.from(model.parameters, (_, i) => (i - 7) / 64);
  const update = await device.submit(model, delta, 10);
  const receipt = await update.send();
  assert.equal(receipt.round, 1);
  assert.deepEqual(await update.send(), receipt, "the same update again gives the same receipt");

  const later = await device.askForWork(1);
  assert.equal(later.state, "finished");
  assert.deepEqual(later.outcome, { round: 1, verdict: "accepted", reason: null });
  const { safetensors, round } = await server.admin("model.read");
  assert.equal(round, 1);
  const file = Buffer.from(String(safetensors), "base64");
  const expected = Float32Array.from(model.parameters, (value, i) => value + delta[i]);
  assert.deepEqual(new Uint8Array(file.subarray(-4 * delta.length)), new Uint8Array(expected.buffer));
});

test("the stranger opens a session under the other suite too", async () => {
  const device = await Stranger.enroll(await newToken("stranger-frodo"));
  await device.openSession(["QF1-FRODO", "QF2-HYBRID"]);
  const { state } = await device.askForWork(0);
  assert.equal(state, "finished");
});

test("a token that was used is refused by its code, as the page says", async () => {
  const line = await newToken("once");
  await Stranger.enroll(line);
  await assert.rejects(Stranger.enroll(line), (error) => {
    return error instanceof Refused && error.status === 409 && error.code === "enroll.token_used";
  });
});

test("an error is JSON in the clear, the session goes on behind it, and a path counts with its query", async () => {
  const device = await Stranger.enroll(await newToken("clumsy"));
  await device.openSession();
  await assert.rejects(device.request("GET", "/api/global_model", Uint8Array.of(0xff)), (error) => {
    return error instanceof Refused && error.status === 400 && error.code === "message.malformed";
  });
  const asked = stranger.write({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });
  const answer = await device.request("GET", "/api/global_model?at=1", asked);
  assert.ok(Buffer.from(answer).includes("finished"));
});

const page = readExamples(readFileSync(new URL("docs/wire.md", root), "utf8"));

function example(name: string): (key: string) => string {
  const values = page.get(name);
  assert.ok(values !== undefined, `the page has no example ${name}`);
  return (key) => {
    const value = values.get(key);
    assert.ok(value !== undefined, `example ${name} has no ${key}`);
    return value;
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const text = (value: string): Uint8Array => Buffer.from(value);

test("the stranger's code gives the page's examples of conventions, token and device id", () => {
  assert.equal(hex(stranger.LP("ab", "", Uint8Array.of(1))), example("lp")("LP(6162,,01)"));
  const map = { v: 1, aa: 0.5, b: Uint8Array.of(1, 2), n: null, list: ["x", 1_000_000] };
  assert.equal(hex(stranger.write(map)), example("cbor")("encoded"));
  const token = example("token");
  const { id, secret, fingerprint, name, url } = stranger.parseToken(token("token"));
  assert.deepEqual(
    { id: hex(id), secret: hex(secret), fingerprint: hex(fingerprint), name, url },
    Object.fromEntries(["id", "secret", "fingerprint", "name", "url"].map((key) => [key, token(key)])),
  );
  assert.equal(hex(stranger.deviceIdOf(filled(9616, 0x11), filled(1312, 0x22))), example("device id")("device_id"));
});

test("the stranger's code gives the page's tree, and each path leads to its root", () => {
  const tree = example("tree");
  const leaves = ["a", "b", "c"].map((data) => trees.leafOf(text(data)));
  assert.equal(hex(trees.rootOf(leaves)), tree("root"));
  for (const [i, leaf] of leaves.entries()) {
    assert.equal(hex(leaf), tree(`leaf_${i}`));
    const path = tree(`path_${i}`)
      .split(",")
      .map((node) => Buffer.from(node, "hex"));
    assert.ok(trees.isIncluded(leaf, i, 3, path, trees.rootOf(leaves)));
  }
  assert.equal(hex(trees.blobDigest(text("abc"))), tree("blob_digest(616263)"));
});

test("the stranger's code gives the page's key schedule and record", () => {
  const schedule = example("key schedule");
  const keys = stranger.keySchedule(filled(48, 1), filled(32, 2), filled(16, 3));
  assert.equal(hex(keys.c2s.key), schedule("c2s_key"));
  assert.equal(hex(keys.c2s.iv), schedule("c2s_iv"));
  assert.equal(hex(keys.s2c.key), schedule("s2c_key"));
  assert.equal(hex(keys.s2c.iv), schedule("s2c_iv"));
  assert.equal(hex(keys.confirmServer), schedule("confirm_s"));
  assert.equal(hex(keys.confirmDevice(filled(2420, 4))), schedule("confirm_d"));

  const record = example("record");
  const iv = Buffer.from(record("iv"), "hex");
  const place: stranger.Place = {
    direction: "c2s",
    method: "GET",
    path: "/api/global_model",
    sessionId: Uint8Array.from({ length: 16 }, (_, i) => i),
    sequence: 258,
    answers: 258,
    contentType: "application/qflare-record",
    contentLength: 0,
  };
  assert.equal(hex(stranger.recordNonce(iv, 258)), record("nonce"));
  assert.equal(hex(stranger.associated(place)), record("associated"));
  const key = Buffer.from(record("key"), "hex");
  assert.equal(hex(stranger.sealRecord({ key, iv }, place, text("abc"))), record("record"));
});

test("the stranger's code gives the page's report data and chunked seal", () => {
  const body = {
    tee: "simulated",
    nonce_root: filled(32, 1),
    kem_suite: "X25519+FrodoKEM-640-AES",
    kem_public_key: filled(9648, 2),
    signature_suite: "ML-DSA-44",
    signature_public_key: filled(1312, 3),
    policy_hash: filled(32, 4),
    run_id: filled(32, 5),
    epoch: 1,
    not_before: 1000,
    not_after: 2000,
    code_log_entry: filled(32, 6),
    audit_head: filled(32, 7),
  };
  assert.equal(hex(stranger.reportDataOf(body)), example("report data")("report_data"));
  const parts = example("chunked seal");
  const [secret, salt, context] = [filled(32, 1), filled(32, 2), stranger.LP("a context")];
  const expected = ["magic", "chunk_length", "salt", "commitment", "chunk_0"].map(parts).join("");
  const blob = stranger.seal(secret, context, text("abc"), salt);
  assert.equal(hex(blob), expected);
  assert.equal(hex(stranger.open(secret, context, blob)), parts("plaintext"));
});

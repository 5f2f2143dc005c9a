// Attacks on submission: an update is counted once, whole, for the round, model, policy, enclave and device that it was
// signed for. One round stays open under all of it and ends with what the honest devices sent.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { u32be } from "../../src/core/bytes.ts";
import { encodeCbor } from "../../src/core/codec.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { blobDigest } from "../../src/crypto/merkle.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { exchangeKem, SUITES } from "../../src/crypto/suite.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { manifestMessage, submitMessage } from "../../src/wire/update.ts";
import { enrollClients, joinRound, meanModel, TestClient, type UpdateChanges } from "../support/client.ts";
import { exchange, requestHead, sendRaw } from "../support/http.ts";
import { assertCode, assertRefused } from "../support/refusal.ts";
import { assertClose } from "../support/rows.ts";
import { TestServer } from "../support/server.ts";
import { alteredFields, assertWholeWalk, flipped, type HandSession, mldsa } from "../support/session.ts";

const DELTA = [0.5, -0.5, 0.25, 0, 1, -1];
const HONEST = [
  [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
  [0.2, 0.1, 0, -0.1, -0.2, -0.3],
  [0, 0, 0.6, 0, 0, 0.3],
];

let server: TestServer;
let honest: TestClient[];
/** Selected, and up to no good. */
let mallory: TestClient;
/** Enrolled, but too late to be selected. */
let late: TestClient;
let base: Float32Array;

before(async () => {
  server = await TestServer.start({ rounds: { rounds: 2, target: 3, quorum: 3, overSelection: 4 / 3 } });
  base = await server.parameters();
  const [liar, ...others] = await enrollClients(server, ["mallory", "alice", "bob", "carol"]);
  mallory = liar!;
  honest = others;
  await joinRound([mallory, ...honest]);
  late = await TestClient.enroll(server, "late");
  await late.work(0, 0);
});

after(TestServer.closeAll);

async function assertUpdateRefused(
  code: Parameters<typeof assertRefused>[1],
  changes: UpdateChanges,
  who = mallory,
): Promise<void> {
  const draft = await who.draft(DELTA, changes);
  await assertRefused(server, code, () => who.submit(draft));
}

test("an update for another round is refused", async () => {
  await assertUpdateRefused("round.wrong", { manifest: { round: 2 } });
  await assertUpdateRefused("round.wrong", { manifest: { round: LIMITS.roundsMax } });
  await assertUpdateRefused("message.malformed", { manifest: { round: 0 } });
  await assertUpdateRefused("message.malformed", { manifest: { round: LIMITS.roundsMax + 1 } });
});

test("an update for another base model is refused", async () => {
  await assertUpdateRefused("update.base_model", { manifest: { base_digest: systemRandom.bytes(32) } });
});

test("an update under another policy or in another run is refused", async () => {
  await assertUpdateRefused("round.wrong", { manifest: { policy_hash: systemRandom.bytes(32) } });
  await assertUpdateRefused("round.wrong", { manifest: { run_id: systemRandom.bytes(32) } });
});

test("an update sealed for another enclave is refused", async () => {
  const { publicKey } = await exchangeKem(SUITES["QF2-HYBRID"].update).generateKeyPair();
  const enclave_key_hash = blobDigest(publicKey);
  await assertUpdateRefused("update.recipient", { manifest: { enclave_key_hash }, kemPublicKey: publicKey });
});

test("an update signed by another device, or for another purpose, is refused", async () => {
  const [alice] = honest;
  await assertUpdateRefused("update.signature", { signatureSecretKey: alice!.keystore.signature_secret_key });
  await assertUpdateRefused("update.signature", { signatureSecretKey: mldsa.generateKeyPair().secretKey });
  await assertUpdateRefused("update.signature", { context: CONTEXTS.hello });
});

test("an update that names another device is refused, though that device has signed it", async () => {
  const [alice] = honest;
  await assertUpdateRefused("update.signature", { manifest: { device_id: alice!.keystore.device_id } });
  const stolen = await alice!.draft(DELTA);
  await assertRefused(server, "update.signature", () => mallory.submit(stolen));
});

test("a manifest with any one field altered is refused", async () => {
  const draft = await mallory.draft(DELTA);
  const walk = alteredFields(manifestMessage.decode(draft.manifest));
  assertWholeWalk(
    walk.map(([name]) => name),
    manifestMessage.shape,
  );
  for (const [name, fields] of walk) {
    const hasShape = name !== "v" && name !== "encoding";
    const altered = { ...draft, manifest: encodeCbor(fields) };
    await assertRefused(server, hasShape ? "update.signature" : "message.malformed", () => mallory.submit(altered));
  }
  await assertRefused(server, "update.signature", () =>
    mallory.submit({ ...draft, signature: flipped(draft.signature) as typeof draft.signature }),
  );
});

test("a manifest that says more, less or something else than its shape is refused, though it is signed", async () => {
  const changes: object[] = [
    { v: 2 },
    { encoding: "f16" },
    { encoding: null },
    { extra: 1 },
    { blob_length: 0 },
    { blob_length: LIMITS.updateBytesMax + 1 },
    { sequence: 0 },
    { sequence: -1 },
    { blob_digest: new Uint8Array(31) },
  ];
  for (const manifest of changes) await assertUpdateRefused("message.malformed", { manifest });
});

test("claims of no examples, of more than the limit, or of more than a number holds are refused", async () => {
  for (const examples of [0, -1, 1.5, 2 ** 53, 2n ** 64n - 1n]) {
    await assertUpdateRefused("message.malformed", { manifest: { examples } });
  }
  for (const examples of [LIMITS.examplesMax + 1, Number.MAX_SAFE_INTEGER]) {
    await assertUpdateRefused("update.examples", { manifest: { examples } });
  }
});

test("bytes that differ from the signed digest are refused and leave nothing on disk", async () => {
  const draft = await mallory.draft(DELTA);
  for (const at of [0, draft.blob.length >> 1, draft.blob.length - 1]) {
    const altered = { ...draft, blob: flipped(draft.blob, at) };
    await assertRefused(server, "update.digest", () => mallory.submit(altered));
  }
  await assertUpdateRefused("update.digest", { manifest: { blob_digest: systemRandom.bytes(32) } });
});

test("a blob of another length than the model's is refused, though it is signed for that length", async () => {
  const { length } = (await mallory.draft(DELTA)).blob;
  for (const other of [length - 1, length + 1, 1, length + 100_000]) {
    await assertUpdateRefused("update.length", { blob: systemRandom.bytes(other) });
  }
});

test("a blob of another length than the manifest's is refused", async () => {
  const draft = await mallory.draft(DELTA);
  for (const blob of [draft.blob.slice(0, -1), new Uint8Array([...draft.blob, 0]), new Uint8Array(0)]) {
    await assertRefused(server, "message.length_mismatch", () => mallory.submit({ ...draft, blob }));
  }
});

/** Head and body of a submission, so that they can be made to contradict each other. */
async function rawSubmit(
  session: HandSession,
  contentLength: (honest: number) => number,
  changes: UpdateChanges = {},
): Promise<{ head: Uint8Array; body: Uint8Array }> {
  const { manifest, signature, blob } = await mallory.draft(DELTA, changes);
  const submit = submitMessage.encode({ manifest, signature, log_size: 0 });
  const length = contentLength(blob.length);
  const { call, record } = session.seal("POST", "/api/submit_model", submit, {
    blob,
    sealedAs: { contentLength: length },
  });
  const declared = 4 + record.length + length;
  const head = requestHead("POST", "/api/submit_model", { ...call.headers, "content-length": String(declared) });
  return { head, body: Buffer.concat([u32be(record.length), record, blob]) };
}

test("only as many bytes count as the request declares", async () => {
  const before = await server.state();
  const shorter = await rawSubmit(mallory.session, (length) => length - 1);
  assert.match(await sendRaw(server, [shorter.head, shorter.body]), /^HTTP\/1\.1 400 .*message\.length_mismatch/s);
  const { length } = (await mallory.draft(DELTA)).blob;
  const manifest = { blob_length: length - 1 };
  const signedShorter = await rawSubmit(mallory.session, () => length - 1, { manifest });
  assert.match(await sendRaw(server, [signedShorter.head, signedShorter.body]), /^HTTP\/1\.1 400 .*update\.length/s);
  assert.deepEqual(await server.state(), before);
});

test("an update whose connection is cut in the middle is forgotten, and can be sent again", async () => {
  const before = await server.state();
  const { head, body } = await rawSubmit(mallory.session, (length) => length);
  for (const end of [0, 3, 4, 100, body.length >> 1, body.length - 1]) {
    await sendRaw(server, [head, body.subarray(0, end)], true);
  }
  await exchange(server, { method: "GET", path: "/api/health" });
  const deadline = AbortSignal.timeout(5000);
  let state = await server.state();
  while (state.blobs.length !== before.blobs.length && !deadline.aborted) state = await server.state();
  assert.deepEqual(state, before);
});

test("a record length that is absurd is refused", async () => {
  const request = mallory.seal(await mallory.draft(DELTA));
  const [length, ...rest] = request.call.body!;
  const before = await server.state();
  const lengths: [number, Parameters<typeof assertCode>[1]][] = [
    [0xffffffff, "message.too_large"],
    [submitMessage.bytesMax + 17, "message.too_large"],
    [0, "session.refused"],
    [15, "session.refused"],
    [request.record.length - 1, "session.refused"],
    [request.record.length + 1, "session.refused"],
  ];
  for (const [claimed, code] of lengths) {
    assertCode(await exchange(server, { ...request.call, body: [u32be(claimed), ...rest] }), code);
  }
  assertCode(
    await exchange(server, { ...request.call, body: [length!, request.record.slice(0, 9)] }),
    "message.length_mismatch",
  );
  assertCode(await exchange(server, { ...request.call, body: [new Uint8Array(3)] }), "message.length_mismatch");
  assert.deepEqual(await server.state(), before);
});

test("a submission without its length, as chunks, is refused", async () => {
  const { call } = mallory.seal(await mallory.draft(DELTA));
  const headers = { ...call.headers, "transfer-encoding": "chunked" };
  const { body } = call;
  const chunk = Buffer.concat(body!);
  const chunked = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n0\r\n\r\n")]);
  const before = await server.state();
  const answer = await sendRaw(server, [requestHead("POST", call.path, headers), chunked]);
  assert.match(answer, /^HTTP\/1\.1 400 .*message\.length_mismatch/s);
  assert.deepEqual(await server.state(), before);
});

test("a submission of another content type is refused", async () => {
  const draft = await mallory.draft(DELTA);
  for (const type of ["application/cbor", "application/octet-stream", "text/plain", "application/qflare-record", ""]) {
    const { call } = mallory.seal(draft);
    const headers = { ...call.headers, "content-type": type };
    await assertRefused(server, "request.media_type", () => exchange(server, { ...call, headers }));
  }
});

test("a device that was not selected is refused", async () => {
  late.task = mallory.task;
  late.enclave = mallory.enclave;
  await assertUpdateRefused("round.not_selected", {}, late);
});

test("an update over a session of another device is refused", async () => {
  const [alice] = honest;
  const draft = await mallory.draft(DELTA);
  const before = await server.state();
  assertCode(await alice!.submit(draft), "update.signature");
  assert.deepEqual(await server.state(), before);
});

test("the same update in a fresh record gets the same receipt and counts once", async () => {
  const [alice] = honest;
  const draft = await alice!.draft(HONEST[0]!);
  const receipt = await alice!.deliver(draft);
  const before = await server.state();
  assert.equal(before.updates.length, 1);
  assert.deepEqual(await alice!.deliver(draft), receipt);
  const receipts = await Promise.all(Array.from({ length: 5 }, () => alice!.deliver(draft)));
  for (const again of receipts) assert.deepEqual(again, receipt);
  assert.deepEqual(await server.state(), before);
});

test("a second, different update of a device in the same round is refused", async () => {
  const [alice] = honest;
  await assertUpdateRefused("update.duplicate", {}, alice);
  const replay = await alice!.draft(HONEST[0]!);
  await assertRefused(server, "update.duplicate", () => alice!.submit(replay));
});

test("of different updates that a device sends at once one counts", async () => {
  const [, bob] = honest;
  const drafts = await Promise.all(Array.from({ length: 6 }, () => bob!.draft(HONEST[1]!)));
  const before = await server.state();
  const answers = await Promise.all(drafts.map((draft) => bob!.submit(draft)));
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
  for (const answer of answers) if (answer.status !== 200) assertCode(answer, "update.duplicate");
  assert.equal((await server.state()).updates.length, before.updates.length + 1);
});

test("the round ends with the honest updates alone, and says who is missing", async () => {
  const [alice, bob, carol] = honest;
  await carol!.contribute(HONEST[2]!);
  await joinRound([alice!, bob!, carol!, mallory], 1);
  assertClose(await server.parameters(1), meanModel(base, HONEST), 1e-6);
  const { updates, missing } = await server.report(1);
  assert.deepEqual(
    updates.map(({ verdict }) => verdict),
    ["accepted", "accepted", "accepted"],
  );
  assert.deepEqual(missing, [mallory.keystore.device_id]);
  const { outcome } = await mallory.work(2, 0);
  assert.deepEqual(outcome, { round: 1, verdict: "missing", reason: null });
});

test("nothing but models stays on disk of a round that is over", async () => {
  const { blobs, models } = await server.state();
  assert.equal(blobs.length, models.length);
});

test("an update for the round before is refused, but for the one that was accepted in it", async () => {
  const [alice] = honest;
  await assertUpdateRefused("round.wrong", { manifest: { round: 1 } });
  await assertUpdateRefused("update.duplicate", { manifest: { round: 1 } }, alice);
});

test("a manifest that is older than one that was accepted is refused and leaves nothing on disk", async () => {
  const [alice] = honest;
  const { devices } = await server.state();
  const accepted = Number(
    devices
      .find((device) => device.includes(" alice "))!
      .split(" ")
      .at(-1),
  );
  for (const sequence of [accepted, accepted - 1, 1]) {
    await assertUpdateRefused("update.sequence", { manifest: { sequence } }, alice);
  }
});

test("nothing is taken once the run is over", async () => {
  const before = await server.parameters(1);
  for (const [i, client] of honest.entries()) await client.contribute(HONEST[i]!);
  await server.finished();
  assertClose(await server.parameters(2), meanModel(before, HONEST), 1e-6);
  await assertUpdateRefused("round.closed", {});
});

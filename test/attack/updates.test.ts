// Attacks inside updates that are validly signed and sealed: the server cannot see them, the enclave must. Each liar
// sends one of them in the same round; the model must be what the honest devices alone give.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { toHex } from "../../src/core/bytes.ts";
import type { ErrorCode } from "../../src/core/error.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { exchangeKem, SUITES } from "../../src/crypto/suite.ts";
import type { Verdict } from "../../src/wire/report.ts";
import { updateBlobLength } from "../../src/wire/update.ts";
import { enrollClients, joinRound, meanModel, type TestClient, type UpdateChanges } from "../support/client.ts";
import { assertClose } from "../support/rows.ts";
import { TestServer, TINY_PARAMETERS } from "../support/server.ts";
import { flipped } from "../support/session.ts";

const NORM_MAX = 1e6;
const HONEST: readonly (readonly number[])[] = [
  [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
  [0.2, 0.1, 0, -0.1, -0.2, -0.3],
  [0, 0, 0.6, 0, 0, 0.3],
];
const ZERO = new Array<number>(TINY_PARAMETERS).fill(0);

/** A delta of one value and zeros. */
function lone(value: number): number[] {
  return [value, ...ZERO.slice(1)];
}

interface Attack {
  readonly name: string;
  readonly delta: readonly number[];
  /** undefined for what is harmless: accepted, and counted in the mean. */
  readonly reason?: ErrorCode;
  readonly changes?: (client: TestClient) => UpdateChanges | Promise<UpdateChanges>;
}

const KEM = SUITES["QF2-HYBRID"].update;
const BLOB_BYTES = updateBlobLength("QF2-HYBRID", TINY_PARAMETERS);

const ATTACKS: readonly Attack[] = [
  { name: "nan", delta: lone(Number.NaN), reason: "update.not_finite" },
  { name: "all-nan", delta: ZERO.map(() => Number.NaN), reason: "update.not_finite" },
  { name: "infinity", delta: lone(Number.POSITIVE_INFINITY), reason: "update.not_finite" },
  { name: "minus-infinity", delta: lone(Number.NEGATIVE_INFINITY), reason: "update.not_finite" },
  { name: "huge", delta: lone(1e30), reason: "update.norm" },
  { name: "largest", delta: ZERO.map(() => 3.4e38), reason: "update.norm" },
  { name: "over-norm", delta: lone(NORM_MAX + 0.0625), reason: "update.norm" },
  { name: "over-norm-spread", delta: ZERO.map(() => 408_249), reason: "update.norm" },
  {
    name: "random",
    delta: ZERO,
    reason: "update.unreadable",
    changes: () => ({ blob: systemRandom.bytes(BLOB_BYTES) }),
  },
  { name: "zeros", delta: ZERO, reason: "update.unreadable", changes: () => ({ blob: new Uint8Array(BLOB_BYTES) }) },
  {
    name: "low-order",
    delta: lone(1),
    reason: "update.unreadable",
    changes: async (client) => ({ blob: new Uint8Array((await client.draft(lone(1))).blob).fill(0, 0, 32) }),
  },
  { name: "other-round", delta: lone(1), reason: "update.unreadable", changes: () => ({ sealedFor: { round: 2 } }) },
  {
    name: "other-device",
    delta: lone(1),
    reason: "update.unreadable",
    changes: () => ({ sealedFor: { device_id: systemRandom.bytes(16) } }),
  },
  {
    name: "other-policy",
    delta: lone(1),
    reason: "update.unreadable",
    changes: () => ({ sealedFor: { policy_hash: systemRandom.bytes(32) } }),
  },
  {
    name: "other-key",
    delta: lone(1),
    reason: "update.unreadable",
    changes: async () => ({ kemPublicKey: (await exchangeKem(KEM).generateKeyPair()).publicKey }),
  },
  {
    name: "flipped",
    delta: lone(1),
    reason: "update.unreadable",
    changes: async (client) => ({ blob: flipped((await client.draft(lone(1))).blob, -1) }),
  },
  { name: "zero", delta: ZERO },
  { name: "negative-zero", delta: ZERO.map(() => -0) },
  { name: "subnormal", delta: lone(1e-45) },
];

let server: TestServer;
let base: Float32Array;
let honest: TestClient[];
let liars: TestClient[];
const verdicts = new Map<string, Verdict>();

before(async () => {
  const count = HONEST.length + ATTACKS.length;
  server = await TestServer.start({
    run: { norm_max: NORM_MAX },
    rounds: { rounds: 2, target: count, quorum: HONEST.length },
  });
  base = await server.parameters();
  const clients = await enrollClients(server, ["alice", "bob", "carol", ...ATTACKS.map((attack) => attack.name)]);
  honest = clients.slice(0, HONEST.length);
  liars = clients.slice(HONEST.length);
  await joinRound(clients);
  for (const [i, { delta, changes }] of ATTACKS.entries()) {
    await liars[i]!.contribute(delta, await changes?.(liars[i]!));
  }
  for (const [i, client] of honest.entries()) await client.contribute(HONEST[i]!);
  await joinRound(clients, 1);
  for (const verdict of (await server.report(1)).updates) verdicts.set(toHex(verdict.device_id), verdict);
});

after(TestServer.closeAll);

function verdictOf(client: TestClient): Pick<Verdict, "verdict" | "reason"> | undefined {
  const found = verdicts.get(toHex(client.keystore.device_id));
  return found && { verdict: found.verdict, reason: found.reason };
}

for (const [i, { name, reason }] of ATTACKS.entries()) {
  const said = reason === undefined ? "accepted, for it does no harm" : `rejected with ${reason}`;
  test(`an update of the kind ${name} is ${said}`, async () => {
    const expected = { verdict: reason === undefined ? "accepted" : "rejected", reason: reason ?? null };
    assert.deepEqual(verdictOf(liars[i]!), expected);
    const { outcome } = await liars[i]!.work(2, 0);
    assert.deepEqual(outcome, { round: 1, ...expected });
  });
}

test("honest devices are told that they were counted", async () => {
  for (const client of honest) {
    assert.deepEqual(verdictOf(client), { verdict: "accepted", reason: null });
    assert.deepEqual((await client.work(2, 0)).outcome, { round: 1, verdict: "accepted", reason: null });
  }
});

test("the report names every device of the round once, and nobody is missing", async () => {
  const { updates, missing } = await server.report(1);
  assert.equal(updates.length, HONEST.length + ATTACKS.length);
  assert.equal(verdicts.size, updates.length);
  assert.deepEqual(missing, []);
});

test("a rejected update weighs nothing", () => {
  for (const [i, { reason }] of ATTACKS.entries()) {
    const { weight } = verdicts.get(toHex(liars[i]!.keystore.device_id))!;
    assert.equal(weight, reason === undefined ? 10 : 0);
  }
});

test("the published model is finite and is the mean of what was accepted", async () => {
  const harmless = ATTACKS.filter(({ reason }) => reason === undefined).map(({ delta }) => delta);
  const parameters = await server.parameters(1);
  assert.ok(parameters.every(Number.isFinite));
  assertClose(parameters, meanModel(base, [...HONEST, ...harmless]), 1e-6);
});

test("a round in which every liar lies again ends with what the honest devices alone give", async () => {
  const before = await server.parameters(1);
  for (const client of liars) await client.contribute(lone(Number.NaN), { manifest: { examples: 1e9 } });
  for (const [i, client] of honest.entries()) await client.contribute(HONEST[i]!);
  await server.finished();
  assertClose(await server.parameters(2), meanModel(before, HONEST), 1e-6);
});

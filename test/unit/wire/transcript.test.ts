// The tables of what is hashed and derived: their bytes are fixed, and every input can be read in one way only.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lengthPrefixed, toHex, u64be, utf8 } from "../../../src/core/bytes.ts";
import { open } from "../../../src/crypto/chunked-seal.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { exchangeKem, SUITES } from "../../../src/crypto/suite.ts";
import { deviceId, enrollMac } from "../../../src/wire/enroll.ts";
import {
  deriveSession,
  deviceConfirmation,
  type SessionKeys,
  serverConfirmation,
  transcriptHash,
} from "../../../src/wire/handshake.ts";
import { LABELS } from "../../../src/wire/labels.ts";
import { SUBMIT_TYPE, sealRecord } from "../../../src/wire/record.ts";
import { gather } from "../../../src/wire/transcript.ts";
import { sealUpdate } from "../../../src/wire/update.ts";

const filled = (length: number, value: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(value);

function session(...psk: Uint8Array[]): { th2: Uint8Array; keys: SessionKeys } {
  const th2 = transcriptHash(filled(70, 1), filled(50, 2), filled(90, 3), filled(40, 4));
  return { th2, keys: deriveSession(th2, filled(32, 5), filled(16, 6), ...psk) };
}

test("the transcript of fixed messages has the hash of version 1", () => {
  const expected =
    "c433ebf5303d6a6ba7b109a57b3265479acad317594a7f3587bed9e635d0628f" + "de98e10db3db90c7a2cd1b47360a6384";
  assert.equal(toHex(session().th2), expected);
});

test("fixed secrets give the keys of version 1", () => {
  const { keys } = session();
  assert.deepEqual([keys.client.key, keys.client.iv, keys.server.key, keys.server.iv].map(toHex), [
    "16254edcec8257c8accd7505d3049a1155da8ad1cd9c4545d45ff32906e73c18",
    "1e0e1ffaf39838b05fbf0737",
    "0b939edb8bba74ecb31d4444397754cd90c12c658dc90ba38d10d6e2190a5786",
    "cebf5521c505c14c07513848",
  ]);
  assert.deepEqual(
    [keys.confirmDevice, keys.confirmServer, keys.resumption, keys.exporter].map((key) => toHex(key).slice(0, 32)),
    [
      "e67e099a640efde3674f91b85b7cc48f",
      "0b55668bafdb288650b3ece8a0060550",
      "75415f0f7e6f06be21065cec77c2a419",
      "d7b8c62bcbf5d21b6b9b9b9a01ffdd83",
    ],
  );
});

test("a key held beforehand changes every key in the way of version 1", () => {
  const exporter = toHex(session(filled(32, 7)).keys.exporter);
  assert.equal(exporter.slice(0, 32), "ca1c02886fad22e9ae068c9efe93dd97");
});

test("the two confirmations are those of version 1", () => {
  const { th2, keys } = session();
  const server = serverConfirmation(keys, th2);
  assert.equal(toHex(server), "7d0483086db6d25b525290765fcad8dc8887a58556d80dbbaf5546fbf2223908");
  const device = deviceConfirmation(keys, th2, filled(50, 8), server);
  assert.equal(toHex(device), "ecb0bc45d9a4c7a0dabe36d3013b34f29b5d53cba16105ee26dfda01e594b647");
});

test("the enrolment's MAC, a device's id and a sealed record are those of version 1", () => {
  const mac = toHex(enrollMac(filled(24, 9), filled(60, 10), filled(50, 11)));
  assert.equal(mac.slice(0, 32), "956597b1f206b827397e8dc2455bc468");
  assert.equal(toHex(deviceId(filled(32, 12), filled(30, 13))), "f1dc8bec9ad1e391563c450c5c446460");
  const place = { direction: "c2s", method: "POST", path: "/api/submit_model", sessionId: filled(16, 14) } as const;
  const rest = { sequence: 3, answers: 3, contentType: SUBMIT_TYPE, contentLength: 5 };
  const record = sealRecord(session().keys.client, { ...place, ...rest }, filled(4, 15));
  assert.equal(toHex(record), "94bfddbdda1e415ede3b7522db66188bea82aeb9");
});

test("an update is sealed under label, run, round, device, base model, policy and key, in this order", async () => {
  const kem = exchangeKem(SUITES["QF2-HYBRID"].update);
  const { publicKey, secretKey } = await kem.generateKeyPair();
  const ids = { run_id: filled(32, 1), round: 7, device_id: filled(16, 2), base_digest: filled(32, 3) };
  const place = { ...ids, policy_hash: filled(32, 4), enclave_key_hash: filled(32, 5) };
  const blob = await sealUpdate("QF2-HYBRID", publicKey, place, filled(40, 9), systemRandom);
  const secret = await kem.decapsulate(secretKey, blob.subarray(0, kem.sizes.ciphertext));
  const context = lengthPrefixed(
    ...[utf8(LABELS.update), place.run_id, u64be(7), place.device_id],
    ...[place.base_digest, place.policy_hash, place.enclave_key_hash],
  );
  assert.deepEqual(open(secret, context, blob.subarray(kem.sizes.ciphertext)), filled(40, 9));
});

test("parts of an inner list stand behind their length, the others as they are", () => {
  const values = { one: filled(2, 1), two: filled(3, 2) };
  assert.equal(toHex(gather(["one", ["two", LABELS.derived]], values)).slice(0, 18), "010100000003020202");
  assert.deepEqual(gather(["one", ["two", LABELS.derived]], values).subarray(9), lengthPrefixed(utf8(LABELS.derived)));
});

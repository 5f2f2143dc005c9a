import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ReferenceValues,
  readReferenceValues,
  releaseKeyHash,
  signReferenceValues,
} from "../../../src/attestation/reference-values.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { coded } from "../../support/errors.ts";

const keys = signature("ML-DSA-44").generateKeyPair(new Uint8Array(32).fill(1));
const others = signature("ML-DSA-44").generateKeyPair(new Uint8Array(32).fill(2));
const hash = releaseKeyHash(keys.publicKey);
const AT = 1_750_000_000_000;

const VALUES: ReferenceValues = {
  v: 1,
  release: "1.2.3",
  program: new Uint8Array(32).fill(7),
  node: "v26.10.0",
  measurements: [{ tee: "sev-snp", measurement: new Uint8Array(48).fill(8) }],
  not_after: AT + 1,
};

test("signed reference values come back as they were, from their signed form alone", () => {
  const file = signReferenceValues(VALUES, keys);
  assert.deepEqual(readReferenceValues(file, hash, AT), VALUES);
  const shown = JSON.parse(file);
  assert.equal(shown.program, "07".repeat(32));
  const misleading = JSON.stringify({ ...shown, program: "00" });
  assert.deepEqual(readReferenceValues(misleading, hash, AT), VALUES);
});

test("reference values of another key, altered or expired ones are refused", () => {
  const file = JSON.parse(signReferenceValues(VALUES, keys));
  const read = (changed: object, nowMs = AT) =>
    readReferenceValues(JSON.stringify({ ...file, ...changed }), hash, nowMs);
  const foreign = JSON.parse(signReferenceValues(VALUES, others));
  const refused = coded("evidence.refused");
  assert.throws(() => read(foreign), refused);
  assert.throws(() => read({ release_key: foreign.release_key }), refused);
  assert.throws(() => read({ signature: foreign.signature }), refused);
  assert.throws(
    () => read({ signed: JSON.parse(signReferenceValues({ ...VALUES, v: 1, node: "v1" }, keys)).signed }),
    refused,
  );
  assert.throws(() => read({}, AT + 2), refused);
});

test("what is no file of reference values is malformed", () => {
  const file = JSON.parse(signReferenceValues(VALUES, keys));
  for (const text of [
    "",
    "null",
    "[]",
    "{}",
    JSON.stringify({ ...file, signed: "+" }),
    JSON.stringify({ ...file, signature: 1 }),
  ]) {
    assert.throws(() => readReferenceValues(text, hash, AT), coded("message.malformed"), text);
  }
});

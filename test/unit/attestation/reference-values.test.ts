import assert from "node:assert/strict";
import { test } from "node:test";
import type { Binding } from "../../../src/attestation/binding.ts";
import type { Verdict } from "../../../src/attestation/evidence.ts";
import {
  notOfRelease,
  type ReferenceValues,
  readReferenceValues,
  referenceDigest,
  releaseKeyHash,
  signReferenceValues,
  toSignedForm,
} from "../../../src/attestation/reference-values.ts";
import { LIMITS } from "../../../src/core/limits.ts";
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

test("the signed form is all that counts of the largest file, and fits where it travels", () => {
  const measurements = Array.from(
    { length: 256 },
    (_, i) => ({ tee: "sev-snp", measurement: new Uint8Array(48).fill(i) }) as const,
  );
  const values = { ...VALUES, measurements };
  const file = signReferenceValues(values, keys);
  const form = toSignedForm(file);
  assert.ok(form.length <= LIMITS.referenceBytesMax);
  assert.deepEqual(readReferenceValues(form, hash, AT), values);
  assert.deepEqual(referenceDigest(form), referenceDigest(file));
});

test("a release vouches for its program, and on hardware for the measurements of that kind alone", () => {
  const judge = (program: number, tee: Verdict["tee"], measurement: string): string | undefined => {
    const binding = { code_log_entry: new Uint8Array(32).fill(program) } as Binding;
    return notOfRelease(VALUES, binding, { tee, measurement } as Verdict);
  };
  const [own, other, launched] = ["07".repeat(32), "06".repeat(32), "08".repeat(48)];
  assert.equal(judge(7, "simulated", own), undefined);
  assert.match(judge(7, "simulated", other)!, /expected program 07/);
  assert.match(judge(6, "simulated", other)!, /expected program 07/);
  assert.equal(judge(7, "sev-snp", launched), undefined);
  assert.match(judge(6, "sev-snp", launched)!, /expected program 07/);
  assert.match(judge(7, "sev-snp", own)!, /it names no sev-snp 07/);
  assert.match(judge(7, "tdx", launched)!, /it names no tdx 08/);
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
    `{"release":"another",${JSON.stringify(file).slice(1)}`,
  ]) {
    assert.throws(() => readReferenceValues(text, hash, AT), coded("message.malformed"), text);
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { appraise, type Expectation } from "../../../src/attestation/appraisal.ts";
import { type Binding, reportData } from "../../../src/attestation/binding.ts";
import {
  makeSimulatedEvidence,
  readSimulatedEvidence,
  type SimulatedBody,
} from "../../../src/attestation/simulated.ts";
import { equal, utf8 } from "../../../src/core/bytes.ts";
import { decodeCbor, encodeCbor } from "../../../src/core/codec.ts";
import { QflareError } from "../../../src/core/error.ts";
import { inclusionPath, leafHash, treeRoot } from "../../../src/crypto/merkle.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { exchangeSizes } from "../../../src/crypto/suite.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("attestation");
const NOW_MS = 1_750_000_000_000;
const pair = signature("ML-DSA-44").generateKeyPair(random.bytes(32));
const nonces = Array.from({ length: 5 }, () => random.bytes(32));
const leaves = nonces.map((nonce) => leafHash(nonce));
const MINE = 3;

const fields: Omit<SimulatedBody, "report_data"> = {
  tee: "simulated",
  isolation: "permission",
  nonce_root: treeRoot(leaves),
  kem_suite: "X25519+FrodoKEM-640-AES",
  kem_public_key: random.bytes(exchangeSizes("X25519+FrodoKEM-640-AES").publicKey),
  signature_suite: "ML-DSA-44",
  signature_public_key: pair.publicKey,
  policy_hash: random.bytes(32),
  run_id: random.bytes(32),
  epoch: 1,
  not_before: NOW_MS - 1000,
  not_after: NOW_MS + 1000,
  code_log_entry: random.bytes(32),
  audit_head: random.bytes(32),
};
const evidence = makeSimulatedEvidence(fields, pair.secretKey);

const expected: Expectation = {
  nowMs: NOW_MS,
  allowSimulated: true,
  runId: fields.run_id,
  policyHash: fields.policy_hash,
  nonce: nonces[MINE],
  nonceIndex: MINE,
  nonceCount: nonces.length,
  noncePath: inclusionPath(leaves, MINE),
};

const VIOLATIONS: readonly (readonly [string, Partial<Expectation>, string])[] = [
  ["simulation is not allowed", { allowSimulated: false }, "it is simulated, which the policy does not allow"],
  ["the run is another", { runId: new Uint8Array(32) }, "it is for another run"],
  ["the policy is another", { policyHash: new Uint8Array(32) }, "it is for another policy"],
  ["its time has not come", { nowMs: fields.not_before - 1 }, "it is not valid yet"],
  ["its time is over", { nowMs: fields.not_after + 1 }, "it has expired"],
  ["the nonce is another", { nonce: new Uint8Array(32) }, "it does not answer this device's nonce"],
  ["the nonce stands elsewhere", { nonceIndex: 2 }, "it does not answer this device's nonce"],
  ["there are other nonces", { nonceCount: 4 }, "it does not answer this device's nonce"],
  ["the path is another", { noncePath: inclusionPath(leaves, 2) }, "it does not answer this device's nonce"],
  ["there is no path", { noncePath: [] }, "it does not answer this device's nonce"],
];

describe("evidence", () => {
  it("that meets every expectation gives the enclave's keys and epoch", () => {
    const { ok, reasons, enclave } = appraise(evidence, expected);
    assert.deepEqual([ok, reasons], [true, []]);
    assert.equal(hex(enclave!.kem_public_key), hex(fields.kem_public_key));
    assert.equal(hex(enclave!.signature_public_key), hex(pair.publicKey));
  });

  it("serves every nonce under its root", () => {
    for (const [i, nonce] of nonces.entries()) {
      const mine = { nonce, nonceIndex: i, noncePath: inclusionPath(leaves, i) };
      assert.ok(appraise(evidence, { ...expected, ...mine }).ok, `nonce ${i}`);
    }
  });

  it("is valid on both edges of its time", () => {
    for (const nowMs of [fields.not_before, fields.not_after]) assert.ok(appraise(evidence, { ...expected, nowMs }).ok);
  });

  for (const [when, change, reason] of VIOLATIONS) {
    it(`is refused for that reason alone where ${when}`, () => {
      assert.deepEqual(appraise(evidence, { ...expected, ...change }), { ok: false, reasons: [reason] });
    });
  }

  it("gives all reasons where there are several, and no key", () => {
    const wrong = { allowSimulated: false, runId: new Uint8Array(32), nowMs: 0, nonce: new Uint8Array(32) };
    const { ok, reasons, enclave } = appraise(evidence, { ...expected, ...wrong });
    assert.deepEqual([ok, reasons.length, enclave], [false, 4, undefined]);
  });

  it("with a bit flipped anywhere is refused or no evidence at all", () => {
    const places = [
      ...Array(80).keys(),
      ...Array.from({ length: 300 }, (_, i) => Math.floor((i * evidence.length) / 300)),
    ];
    for (const at of [...places, evidence.length - 1]) {
      const altered = evidence.slice();
      altered[at] ^= 1 << (at % 8);
      try {
        assert.equal(appraise(altered, expected).ok, false, `byte ${at}`);
      } catch (error) {
        assert.ok(error instanceof QflareError && error.status < 500, `byte ${at}: ${error}`);
      }
    }
  });

  it("signed by another key than the one it names is refused", () => {
    const other = signature("ML-DSA-44").generateKeyPair();
    assert.equal(readSimulatedEvidence(makeSimulatedEvidence(fields, other.secretKey)), undefined);
    const { reasons } = appraise(makeSimulatedEvidence(fields, other.secretKey), expected);
    assert.deepEqual(reasons, ["its signature or binding does not hold"]);
  });

  it("whose report data do not bind its fields is refused, though it is signed", () => {
    const outer = decodeCbor(evidence, evidence.length) as Map<string, Uint8Array<ArrayBuffer>>;
    const body = decodeCbor(outer.get("body")!, evidence.length) as Map<string, unknown>;
    for (const [name, value] of body) {
      if (!(value instanceof Uint8Array) || name === "signature_public_key") continue;
      const altered = encodeCbor(
        new Map(body).set(
          name,
          value.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
        ),
      );
      const signed = signature("ML-DSA-44").sign(pair.secretKey, altered, "qflare/v1 simulated evidence");
      const forged = encodeCbor({ body: altered, signature: signed });
      assert.equal(readSimulatedEvidence(forged), undefined, name);
    }
  });

  it("of another type is never read as simulated", () => {
    const sevSnp = { ...fields, tee: "sev-snp" } as unknown as SimulatedBody;
    assert.throws(() => makeSimulatedEvidence(sevSnp, pair.secretKey), coded("message.malformed", /tee/));
    for (const bytes of [new Uint8Array(0), new Uint8Array(1184), utf8("{}")]) {
      assert.throws(() => appraise(bytes, expected), coded("message.malformed"));
    }
  });
});

describe("report data", () => {
  const binding: Binding = {
    tee: "simulated",
    nonceRoot: random.bytes(32),
    kemSuite: "X25519+FrodoKEM-640-AES",
    kemPublicKey: random.bytes(40),
    signatureSuite: "ML-DSA-44",
    signaturePublicKey: random.bytes(50),
    policyHash: random.bytes(32),
    runId: random.bytes(32),
    epoch: 1,
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + 1,
    codeLogEntry: random.bytes(32),
    auditHead: random.bytes(32),
  };

  it("fill 64 bytes and change with every field", () => {
    const base = reportData(binding);
    assert.equal(base.length, 64);
    for (const [name, value] of Object.entries(binding) as [keyof Binding, Binding[keyof Binding]][]) {
      const other = typeof value === "number" ? value + 1 : typeof value === "string" ? `${value}x` : random.bytes(32);
      assert.equal(equal(reportData({ ...binding, [name]: other }), base), false, name);
    }
  });

  it("change where two fields are exchanged", () => {
    const base = hex(reportData(binding));
    const { policyHash, runId, notBeforeMs, notAfterMs, kemPublicKey, signaturePublicKey } = binding;
    for (const swapped of [
      { policyHash: runId, runId: policyHash },
      { notBeforeMs: notAfterMs, notAfterMs: notBeforeMs },
      { kemPublicKey: signaturePublicKey, signaturePublicKey: kemPublicKey },
    ]) {
      assert.notEqual(hex(reportData({ ...binding, ...swapped })), base);
    }
  });
});

// What holds for evidence of every kind.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Evidence } from "../../../src/attestation/evidence.ts";
import { readEvidenceFile } from "../../../src/attestation/evidence-file.ts";
import { makeSimulatedEvidence } from "../../../src/attestation/simulated.ts";
import { verifyEvidence } from "../../../src/attestation/verify.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { exchangeSizes } from "../../../src/crypto/suite.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

const NOW = new Date("2026-05-01T00:00:00Z");
const random = seededRandom("verify");
const pair = signature("ML-DSA-44").generateKeyPair(random.bytes(32));
const document = makeSimulatedEvidence(
  {
    ...{ tee: "simulated", isolation: "permission", nonce_root: random.bytes(32), epoch: 1 },
    ...{ kem_suite: "X25519+FrodoKEM-640-AES", signature_suite: "ML-DSA-44" },
    kem_public_key: random.bytes(exchangeSizes("X25519+FrodoKEM-640-AES").publicKey),
    signature_public_key: pair.publicKey,
    ...{ policy_hash: random.bytes(32), run_id: random.bytes(32), audit_head: random.bytes(32) },
    ...{
      not_before: NOW.getTime() - 1000,
      not_after: NOW.getTime() + 1000,
      code_log_entry: new Uint8Array(32).fill(3),
    },
  },
  pair.secretKey,
);
const simulated: Evidence = { tee: "simulated", document };

describe("simulated evidence", () => {
  it("verifies where the policy allows it by name, and says what it is", () => {
    const verdict = verifyEvidence(simulated, { now: NOW, policy: { allow_simulated: true } });
    assert.deepEqual([verdict.ok, verdict.tee, verdict.measurement], [true, "simulated", "03".repeat(32)]);
    assert.match(verdict.reportData, /^[0-9a-f]{128}$/);
  });

  it("is refused where it does not", () => {
    for (const policy of [{}, undefined]) {
      const { ok, reasons } = verifyEvidence(simulated, { now: NOW, ...(policy === undefined ? {} : { policy }) });
      assert.deepEqual([ok, reasons], [false, ["it is simulated, which the policy does not allow"]]);
    }
  });

  it("is refused before and after its time, and altered", () => {
    const policy = { allow_simulated: true };
    const at = (ms: number): readonly string[] => verifyEvidence(simulated, { now: new Date(ms), policy }).reasons;
    assert.deepEqual(at(NOW.getTime() - 1001), ["it is not valid yet"]);
    assert.deepEqual(at(NOW.getTime() + 1001), ["it has expired"]);
    for (let i = 0; i < document.length; i += 101) {
      const altered = document.slice();
      altered[i] ^= 1 << (i % 8);
      assert.equal(
        verifyEvidence({ tee: "simulated", document: altered }, { now: NOW, policy }).ok,
        false,
        `byte ${i}`,
      );
    }
  });

  it("is read as no other kind, nor another kind as it", () => {
    const others = [
      { tee: "nitro", document },
      { tee: "tdx", quote: document },
      { tee: "sgx", quote: document },
      { tee: "sev-snp", report: document, certificates: [document] },
      { tee: "simulated", document: new Uint8Array(1184) },
    ] as Evidence[];
    for (const evidence of others) {
      const { ok, measurement, reasons } = verifyEvidence(evidence, { now: NOW, policy: { allow_simulated: true } });
      assert.deepEqual([ok, measurement, reasons.length], [false, "", 1], evidence.tee);
    }
  });
});

describe("arguments", () => {
  it("of the wrong type are the caller's error, hostile bytes are a verdict", () => {
    for (const now of [new Date(Number.NaN), 0, undefined]) {
      assert.throws(() => verifyEvidence(simulated, { now: now as Date }), TypeError);
    }
    const wrong = [null, { tee: "nitro" }, { tee: "tdx", quote: "00" }, { tee: "sev-snp", report: document }];
    for (const evidence of wrong) assert.throws(() => verifyEvidence(evidence as Evidence, { now: NOW }), TypeError);
    const { ok, reasons } = verifyEvidence({ tee: "trustzone" } as unknown as Evidence, { now: NOW });
    assert.deepEqual([ok, reasons], [false, ["Cannot read evidence: expected a known kind of hardware"]]);
    const policy = { allow_everything: true } as object;
    assert.throws(() => verifyEvidence(simulated, { now: NOW, policy }), coded("config.invalid"));
  });

  it("too long are refused before they are read", () => {
    const long: Evidence = { tee: "tdx", quote: new Uint8Array(65_537) };
    assert.match(verifyEvidence(long, { now: NOW }).reasons.join(), /expected at most 65536 bytes, got 65537/);
  });

  it("of noise give a verdict for every kind of evidence", () => {
    for (let i = 0; i < 200; i++) {
      const bytes = random.bytes(1 + 37 * i);
      const kinds: Evidence[] = [
        { tee: "sev-snp", report: bytes, certificates: [bytes] },
        { tee: "tdx", quote: bytes },
        { tee: "sgx", quote: bytes },
        { tee: "nitro", document: bytes },
        { tee: "simulated", document: bytes },
      ];
      for (const evidence of kinds) assert.equal(verifyEvidence(evidence, { now: NOW, collateral: {} }).ok, false);
    }
  });
});

describe("an evidence file", () => {
  const bytes = Uint8Array.of(0xfb, 0xff, 0xfe, 0x01, 0x02);

  it("gives bytes from hexadecimal and from base64 of either alphabet", () => {
    for (const text of ["fbfffe0102", "+//+AQI=", "-__-AQI", "-__-AQI=", "+//+AQI"]) {
      assert.deepEqual(readEvidenceFile({ tee: "nitro", document: text }), { tee: "nitro", document: bytes });
    }
    const report = readEvidenceFile({ tee: "sev-snp", report: "00", certificates: ["01", "AgM="] });
    assert.deepEqual(report, {
      tee: "sev-snp",
      report: Uint8Array.of(0),
      certificates: [Uint8Array.of(1), Uint8Array.of(2, 3)],
    });
  });

  it("of another form, with members too many or too few is refused", () => {
    const wrong = [
      ...[null, 1, [], {}, { tee: "nitro" }, { tee: "nitro", document: "" }, { tee: "nitro", document: "*" }],
      ...[
        { tee: "nitro", document: "00", quote: "00" },
        { tee: "none", document: "00" },
        { tee: "tdx", document: "00" },
      ],
      ...[
        { tee: "sev-snp", report: "00", certificates: [] },
        { tee: "nitro", document: "AB==" },
      ],
    ];
    for (const value of wrong) assert.throws(() => readEvidenceFile(value), coded("message.malformed"));
  });
});

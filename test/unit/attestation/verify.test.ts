// What holds for evidence of every kind.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Evidence } from "../../../src/attestation/evidence.ts";
import { readEvidenceFile } from "../../../src/attestation/evidence-file.ts";
import { makeSimulatedEvidence } from "../../../src/attestation/simulated.ts";
import { verifyEvidence } from "../../../src/attestation/verify.ts";
import { verifyEvidence as verifyEvidenceInBrowser } from "../../../src/attestation/web.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

const NOW = new Date("2026-05-01T00:00:00Z");
const random = seededRandom("verify");
const pair = signature("ML-DSA-44").generateKeyPair(random.bytes(32));
const document = makeSimulatedEvidence(
  {
    ...{ tee: "simulated", isolation: "permission", code_digest: new Uint8Array(32).fill(3) },
    ...{ signature_public_key: pair.publicKey, report_data: random.bytes(64) },
    ...{ not_before: NOW.getTime() - 1000, not_after: NOW.getTime() + 1000 },
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
  it("of the wrong type are the caller's error, hostile evidence is a verdict", () => {
    for (const now of [new Date(Number.NaN), 0, undefined]) {
      assert.throws(() => verifyEvidence(simulated, { now: now as Date }), TypeError);
    }
    for (const evidence of [null, undefined, "evidence"] as unknown as Evidence[]) {
      assert.throws(() => verifyEvidence(evidence, { now: NOW }), TypeError);
    }
    const { ok, reasons } = verifyEvidence({ tee: "trustzone" } as unknown as Evidence, { now: NOW });
    assert.deepEqual([ok, reasons], [false, ["Cannot read evidence: expected a known kind of hardware"]]);
    for (const policy of [{ allow_everything: true }, null, new Date(), [], "strict", 0] as object[]) {
      assert.throws(() => verifyEvidence(simulated, { now: NOW, policy }), coded("config.invalid"));
    }
  });

  it("of another structure than their kind has give a verdict with the reason", async () => {
    const cases: readonly (readonly [object, string])[] = [
      [{ tee: "nitro", quote: document }, "document: expected a Uint8Array"],
      [{ tee: "simulated", document: [...document] }, "document: expected a Uint8Array"],
      [{ tee: "tdx", quote: "00" }, "quote: expected a Uint8Array"],
      [{ tee: "sgx", quote: new Uint16Array(600) }, "quote: expected a Uint8Array"],
      [{ tee: "sev-snp", report: document }, "certificates: expected a list"],
      [{ tee: "sev-snp", report: document, certificates: {} }, "certificates: expected a list"],
      [{ tee: "sev-snp", report: undefined, certificates: [document] }, "report: expected a Uint8Array"],
      [{ tee: "sev-snp", report: document, certificates: ["x"] }, "certificates[0]: expected a Uint8Array"],
      [{ tee: "sev-snp", report: document, certificates: new Array(2) }, "certificates[0]: expected a Uint8Array"],
    ];
    const { subtle } = globalThis.crypto;
    for (const [altered, reason] of cases) {
      const evidence = altered as Evidence;
      const { ok, tee, reasons } = verifyEvidence(evidence, { now: NOW, policy: { allow_simulated: true } });
      assert.deepEqual([ok, tee, reasons], [false, evidence.tee, [`Cannot read evidence: ${reason}`]]);
      const inBrowser = await verifyEvidenceInBrowser(evidence, { now: NOW, subtle });
      assert.deepEqual([inBrowser.ok, inBrowser.reasons], [false, [`Cannot read evidence: ${reason}`]]);
    }
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

// SGX through Gramine's files, against Gramine's rules.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readQuote } from "../../../src/attestation/quote.ts";
import { readSgxReport } from "../../../src/attestation/sgx-report.ts";
import { verifyEvidence } from "../../../src/attestation/verify.ts";
import { Gramine } from "../../../src/enclave/attesters/gramine.ts";
import { coded } from "../../support/errors.ts";
import { FakeGramine } from "../../support/tee/fake-gramine.ts";
import { quoteSample } from "../../support/tee/samples.ts";

const sample = quoteSample("sgx/v3-with-collateral");
const quote = (sample.evidence as { quote: Uint8Array }).quote;
const reportData = readSgxReport(readQuote(new Uint8Array(quote)).body).reportData;

describe("Gramine", () => {
  it("gives a quote over the data that was written, which verifies with its collateral", async () => {
    const asked: Uint8Array[] = [];
    const gramine = new FakeGramine((data) => {
      asked.push(data);
      return quote;
    });
    const evidence = await new Gramine(gramine).attest(reportData);
    const policy = { allowed_statuses: ["ConfigurationAndSWHardeningNeeded"] };
    const { now, collateral } = sample;
    assert.deepEqual(verifyEvidence(evidence, { now, collateral, policy }).reasons, []);
    assert.deepEqual([asked, gramine.filesOpen], [[reportData], 0]);
  });

  it("says what is missing: Gramine, attestation in the manifest, the quoting service", async () => {
    const away = new FakeGramine(() => quote);
    away.isThere = false;
    await assert.rejects(new Gramine(away).attest(reportData), coded("evidence.unavailable", /is not there/));
    const bare = new FakeGramine(() => quote);
    bare.type = "none";
    await assert.rejects(new Gramine(bare).attest(reportData), coded("evidence.unavailable", /"dcap".*got "none"/));
    const alone = new FakeGramine(() => quote);
    alone.isServiceUp = false;
    await assert.rejects(new Gramine(alone).attest(reportData), coded("evidence.failed", /quoting service/));
    assert.deepEqual([away.filesOpen, bare.filesOpen, alone.filesOpen], [0, 0, 0]);
  });

  it("refuses a quote over other data, of a trust domain, or none at all", async () => {
    const other = new Gramine(new FakeGramine(() => quote));
    await assert.rejects(other.attest(new Uint8Array(64)), coded("evidence.failed", /its own report data/));
    const tdx = (quoteSample("tdx/v4-with-collateral").evidence as { quote: Uint8Array }).quote;
    for (const bytes of [tdx, new Uint8Array(0), quote.subarray(0, 400)]) {
      const attester = new Gramine(new FakeGramine(() => bytes));
      await assert.rejects(attester.attest(reportData), coded("evidence.failed", /expected a (report|quote) of sgx/));
    }
  });

  it("takes 64 bytes of report data and no other number, of which Gramine would cut or fill up", async () => {
    const attester = new Gramine(new FakeGramine(() => quote));
    for (const length of [63, 65]) await assert.rejects(attester.attest(new Uint8Array(length)), RangeError);
  });
});

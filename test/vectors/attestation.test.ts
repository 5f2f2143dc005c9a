// Real evidence of AMD, Intel and AWS hardware gives its documented verdict; altered evidence is refused.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { QuoteCollateral } from "../../src/attestation/collateral.ts";
import type { Evidence, Verdict } from "../../src/attestation/evidence.ts";
import { verifyEvidence } from "../../src/attestation/verify.ts";
import { verifyEvidence as verifyOnWeb } from "../../src/attestation/web.ts";
import { flips } from "../support/tee/flips.ts";
import {
  certificatesOf,
  expectedOf,
  nitroSample,
  quoteSample,
  type Sample,
  sampleBytes,
  sampleText,
  sevSnpSample,
  verifySample,
} from "../support/tee/samples.ts";

function at(sample: Sample, time: string): Verdict {
  return verifySample({ ...sample, now: new Date(time) });
}

function hexOf(path: string): string {
  return Buffer.from(sampleBytes(path)).toString("hex");
}

/** Text and signature of an answer of Intel's service. */
function signedIn(path: string, member: string): [string, string] {
  const match = new RegExp(`^\\{"${member}":(\\{.*\\}),"signature":"([0-9a-f]{128})"\\}$`, "s").exec(
    sampleText(path).trim(),
  );
  assert.ok(match !== null, path);
  return [match[1], match[2]];
}

const SEV_SNP = expectedOf("sevSnp");
const NITRO = expectedOf("nitro");
const DCAP = expectedOf("dcap");
const TDX = quoteSample("tdx/v4-with-collateral");
const SGX = quoteSample("sgx/v3-with-collateral");

describe("SEV-SNP evidence", () => {
  for (const [name, expected] of SEV_SNP) {
    it(`${name} gives its documented fields, and its verdict`, () => {
      const verdict = verifySample(sevSnpSample(name));
      assert.equal(verdict.measurement, expected.measurement);
      assert.equal(verdict.reportData, expected.report_data);
      assert.equal(verdict.debug, expected.debug);
      assert.equal(verdict.measurements.host_data, expected.host_data);
      assert.equal(verdict.measurements.chip_id, expected.chip_id);
      assert.deepEqual(verdict.reasons, expected.debug === true ? ["it runs in debug mode"] : []);
    });

    it(`${name} needs the validity of its certificate`, () => {
      const [from, to] = expected.vek_valid as [string, string];
      const times = { from: Date.parse(from), to: Date.parse(to) };
      const sample = sevSnpSample(name);
      const about = (ms: number) => verifySample({ ...sample, now: new Date(ms) }).reasons.join();
      assert.doesNotMatch(about(times.from) + about(times.to), /valid yet|expired/);
      assert.match(about(times.from - 1000), /certificate 0: it is not valid yet/);
      assert.match(about(times.to + 1000), /certificate 0: it has expired/);
    });
  }

  it("verifies with the leaf's certificate alone, and with its issuer's", () => {
    const sample = sevSnpSample("milan-v2-coco");
    assert.ok(sample.evidence.tee === "sev-snp");
    for (const length of [1, 2, 3]) {
      const evidence: Evidence = { ...sample.evidence, certificates: sample.evidence.certificates.slice(0, length) };
      assert.deepEqual(verifySample({ ...sample, evidence }).reasons, []);
    }
  });

  it("is refused under the CAs of another product, of other keys, or under another chip's certificate", () => {
    const { evidence, now } = sevSnpSample("milan-v2-coco");
    assert.ok(evidence.tee === "sev-snp");
    const [leaf] = evidence.certificates;
    const others = ["genoa_ask_ark", "turin_ask_ark", "milan_asvk_ark"].map((name) => [
      leaf,
      ...certificatesOf(`sev-snp/roots/${name}.pem`),
    ]);
    const wrong = [
      ...others,
      [sampleBytes("sev-snp/milan-v2-virtee/vcek.der")],
      [sampleBytes("sev-snp/turin-vcek-only/vcek.der")],
    ];
    for (const certificates of wrong) {
      const verdict = verifyEvidence({ ...evidence, certificates }, { now });
      assert.equal(verdict.ok, false);
      assert.match(verdict.reasons.join(), /signature does not hold/);
    }
  });
});

describe("quotes", () => {
  for (const [name, expected] of DCAP) {
    it(`${name} gives its documented fields`, () => {
      const tee = name.slice(0, 3) as "tdx" | "sgx";
      const evidence: Evidence = { tee, quote: sampleBytes(`${name}/quote.bin`) };
      const verdict = verifyEvidence(evidence, { now: TDX.now });
      assert.equal(verdict.measurement, expected[tee === "tdx" ? "mrtd" : "mrenclave"]);
      assert.equal(verdict.reportData, expected.report_data);
      assert.equal(verdict.debug, expected.debug);
      for (const register of ["rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrconfigid", "td_attributes", "mrsigner"]) {
        assert.equal(verdict.measurements[register], expected[register], register);
      }
      assert.equal(verdict.ok, false);
      assert.match(verdict.reasons.join(), /collateral: expected that of Intel, got none/);
    });
  }

  it("of TDX is up to date under its collateral", () => {
    const { ok, tcbStatus, advisories, reasons } = verifySample(TDX);
    assert.deepEqual(
      { ok, tcbStatus, advisories, reasons },
      { ok: true, tcbStatus: "UpToDate", advisories: [], reasons: [] },
    );
  });

  it("of SGX needs configuration and hardening, which a policy may allow", () => {
    const { ok, tcbStatus, advisories } = verifySample(SGX);
    assert.equal(ok, true);
    assert.equal(tcbStatus, "ConfigurationAndSWHardeningNeeded");
    assert.deepEqual(advisories, ["INTEL-SA-00289", "INTEL-SA-00615"]);
    const { evidence, collateral, now } = SGX;
    assert.deepEqual(verifyEvidence(evidence, { now, collateral }).reasons, [
      "policy: TCB status ConfigurationAndSWHardeningNeeded is not allowed",
    ]);
  });

  it("holds within the validity of its collateral alone", () => {
    assert.ok(at(TDX, "2025-06-19T10:32:27Z").ok && at(TDX, "2025-07-19T10:00:35Z").ok);
    assert.match(at(TDX, "2025-06-19T10:32:26Z").reasons.join(), /qe_identity: it is not valid yet/);
    assert.match(at(TDX, "2025-07-19T10:00:36Z").reasons.join(), /pck_crl: it has expired/);
    assert.ok(at(SGX, "2025-06-19T10:56:11Z").ok && at(SGX, "2025-07-19T10:01:18Z").ok);
    assert.match(at(SGX, "2025-06-19T10:56:10Z").reasons.join(), /tcb_info: it is not valid yet/);
    assert.match(at(SGX, "2025-07-19T10:01:19Z").reasons.join(), /it has expired/);
  });

  it("is refused where any part of its collateral is missing, empty, or of the other sample", () => {
    assert.ok(TDX.collateral !== undefined && SGX.collateral !== undefined);
    for (const member of Object.keys(TDX.collateral) as (keyof QuoteCollateral)[]) {
      const { [member]: _, ...rest } = TDX.collateral;
      for (const collateral of [rest, { ...rest, [member]: "" }] as QuoteCollateral[]) {
        const { ok, reasons } = verifySample({ ...TDX, collateral });
        assert.equal(ok, false, member);
        assert.match(reasons.join(), /collateral|expected/, member);
      }
      const other: QuoteCollateral = { ...TDX.collateral, [member]: SGX.collateral[member] };
      // The two share Intel's root list and TCB signer.
      if (other[member] !== TDX.collateral[member])
        assert.equal(verifySample({ ...TDX, collateral: other }).ok, false, member);
    }
  });

  it("in debug mode, or with bytes behind its end, is refused for that", () => {
    const debug: Evidence = { tee: "tdx", quote: sampleBytes("tdx/v4-debug-coco/quote.bin") };
    assert.ok(verifyEvidence(debug, { now: TDX.now }).reasons.includes("it runs in debug mode"));
    const google: Evidence = { tee: "tdx", quote: sampleBytes("tdx/v4-google/quote.bin") };
    assert.ok(
      verifyEvidence(google, { now: new Date("2023-07-01T00:00:00Z") }).reasons.includes("quote: 39 trailing bytes"),
    );
  });

  it("of Google's sample hold in every signature, and its platform is below all levels of that time", () => {
    const now = new Date("2023-07-01T00:00:00Z");
    const quote = sampleBytes("tdx/v4-google/quote.bin").subarray(0, 4935);
    const [tcb_info, tcb_info_signature] = signedIn("tdx/v4-google/sample_tcbInfo_response", "tcbInfo");
    const [qe_identity, qe_identity_signature] = signedIn(
      "tdx/v4-google/sample_qeIdentity_response",
      "enclaveIdentity",
    );
    const lists = { pck_crl: hexOf("tdx/v4-google/pckcrl"), root_ca_crl: hexOf("tdx/v4-google/rootcrl.der") };
    // The sample comes without issuer chains. Intel's signer has the same key today, under a newer certificate.
    const signed = { tcb_info, tcb_info_signature, qe_identity, qe_identity_signature };
    const { reasons } = verifyEvidence(
      { tee: "tdx", quote },
      { now, collateral: { ...TDX.collateral, ...lists, ...signed } },
    );
    assert.deepEqual(reasons, [
      "tcb_info_issuer_chain certificate 0: it is not valid yet",
      "qe_identity_issuer_chain certificate 0: it is not valid yet",
      "TCB: the platform reaches no known level",
      "policy: TCB status unknown is not allowed",
    ]);
  });
});

describe("Nitro documents", () => {
  for (const [name, expected] of NITRO) {
    it(`${name} gives its documented fields and holds for the life of its certificate`, () => {
      const sample = nitroSample(name, expected.timestamp as string);
      const verdict = verifySample(sample);
      assert.deepEqual(verdict.reasons, []);
      assert.equal(verdict.reportData, expected.user_data ?? "");
      for (const member of ["pcr0", "pcr1", "pcr2", "module_id"]) {
        assert.equal(verdict.measurements[member], expected[member], member);
      }
      const [from, to] = (expected.leaf_valid as [string, string]).map(Date.parse);
      const when = (ms: number): Verdict => verifySample({ ...sample, now: new Date(ms) });
      assert.ok(when(from).ok && when(to).ok);
      assert.match(when(from - 1000).reasons.join(), /certificate 0: it is not valid yet/);
      assert.match(when(to + 1000).reasons.join(), /certificate 0: it has expired/);
    });
  }
});

describe("bytes behind the end", () => {
  for (const sample of [
    sevSnpSample("milan-v2-coco"),
    TDX,
    SGX,
    nitroSample(NITRO[1][0], NITRO[1][1].timestamp as string),
  ]) {
    for (const byte of [0x00, 0x01, 0x0a, 0xff]) {
      it(`of ${sample.name} are refused: ${byte}`, () => {
        const longer = (bytes: Uint8Array): Uint8Array => Uint8Array.from([...bytes, byte]);
        const { evidence } = sample;
        const members = Object.entries(evidence).map(([key, value]) => [
          key,
          value instanceof Uint8Array ? longer(value) : value,
        ]);
        const { ok, reasons } = verifySample({ ...sample, evidence: Object.fromEntries(members) as Evidence });
        assert.equal(ok, false);
        assert.notEqual(reasons.length, 0);
        if (evidence.tee !== "sev-snp") return;
        for (const index of evidence.certificates.keys()) {
          const certificates = evidence.certificates.map((der, i) => (i === index ? longer(der) : der));
          assert.match(
            verifySample({ ...sample, evidence: { ...evidence, certificates } }).reasons.join(),
            /trailing bytes/,
          );
        }
      });
    }
  }
});

describe("WebCrypto", () => {
  const samples = [sevSnpSample("milan-v3-azure-a"), TDX, nitroSample(NITRO[0][0], NITRO[0][1].timestamp as string)];
  for (const sample of samples) {
    it(`gives the same verdict on ${sample.name}, and refuses it with a bit flipped`, async () => {
      const { now, collateral } = sample;
      const options = { now, collateral, subtle: crypto.subtle };
      assert.deepEqual(await verifyOnWeb(sample.evidence, options), verifySample(sample));
      for (const { where, altered } of flips(sample, 599)) {
        const verdict = await verifyOnWeb(altered.evidence, { ...options, collateral: altered.collateral });
        assert.deepEqual(verdict, verifySample(altered), where);
        assert.equal(verdict.ok, false, where);
      }
    });
  }

  it("refuses simulated evidence", async () => {
    const document = new Uint8Array(10);
    const options = { now: TDX.now, subtle: crypto.subtle, policy: { allow_simulated: true } };
    const verdict = await verifyOnWeb({ tee: "simulated", document }, options);
    assert.deepEqual([verdict.ok, verdict.reasons], [false, ["simulated evidence cannot be verified here"]]);
  });
});

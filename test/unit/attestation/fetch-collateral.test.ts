// The fetcher against a service that answers as Intel's and AMD's do.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { QuoteCollateral } from "../../../src/attestation/collateral.ts";
import type { Evidence } from "../../../src/attestation/evidence.ts";
import { type CachedAnswer, type Fetch, fetchCollateral } from "../../../src/attestation/fetch-collateral.ts";
import { verifyEvidenceUnder } from "../../../src/attestation/verify.ts";
import { utf8 } from "../../../src/core/bytes.ts";
import { coded } from "../../support/errors.ts";
import { FakeIntel } from "../../support/tee/fake-quote.ts";
import { FakeAmd, NOW } from "../../support/tee/fake-sev-snp.ts";

const intel = new FakeIntel();
const nowMs = NOW.getTime();
const evidence: Evidence = { tee: "tdx", quote: intel.quote() };
const collateral = intel.collateral();

interface Answer {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
}

const fromHex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, "hex"));

function answersOf(own: QuoteCollateral): Record<string, Answer> {
  const chain = (name: string, text: string) => ({ [name]: encodeURIComponent(text) });
  return {
    "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der": {
      body: fromHex(own.pck_crl),
      headers: chain("SGX-PCK-CRL-Issuer-Chain", own.pck_crl_issuer_chain),
    },
    "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der": { body: fromHex(own.root_ca_crl) },
    "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=50806f000000": {
      body: utf8(`{"tcbInfo":${own.tcb_info},"signature":"${own.tcb_info_signature}"}`),
      headers: chain("TCB-Info-Issuer-Chain", own.tcb_info_issuer_chain),
    },
    "https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity": {
      body: utf8(`{"enclaveIdentity":${own.qe_identity},"signature":"${own.qe_identity_signature}"}\n`),
      headers: chain("SGX-Enclave-Identity-Issuer-Chain", own.qe_identity_issuer_chain),
    },
  };
}

function service(answers: Readonly<Record<string, Answer>>): { fetch: Fetch; asked: string[] } {
  const asked: string[] = [];
  const fetch: Fetch = async (url) => {
    asked.push(url);
    const { body, headers = {}, status = 200 } = answers[url] ?? { body: new Uint8Array(0), status: 404 };
    const get = (name: string): string | null => headers[name] ?? null;
    return { ok: status === 200, status, headers: { get }, arrayBuffer: async () => body.slice().buffer };
  };
  return { fetch, asked };
}

describe("fetched collateral", () => {
  it("is what verification takes, to the byte", async () => {
    const { fetch, asked } = service(answersOf(collateral));
    const found = await fetchCollateral(evidence, { fetch, nowMs });
    assert.deepEqual(found, collateral);
    assert.equal(asked.length, 4);
    assert.ok(verifyEvidenceUnder(intel.roots, evidence, { now: NOW, collateral: found }).ok);
  });

  it("comes from the cache for its time, and is asked for again after it", async () => {
    const { fetch, asked } = service(answersOf(collateral));
    const cache = new Map<string, CachedAnswer>();
    for (const [ms, expected] of [
      [0, 4],
      [999, 4],
      [1000, 8],
      [-1, 12],
    ]) {
      assert.deepEqual(await fetchCollateral(evidence, { fetch, nowMs: nowMs + ms, cache, cacheMs: 1000 }), collateral);
      assert.equal(asked.length, expected);
    }
  });

  it("that does not come, comes unsigned, without its chain or too long is an error and not cached", async () => {
    const answers = answersOf(collateral);
    for (const url of Object.keys(answers)) {
      const worse: Answer[] = [
        { body: new Uint8Array(0), status: 500 },
        { body: new Uint8Array(2 ** 20 + 1), headers: answers[url].headers ?? {} },
        ...(answers[url].headers === undefined ? [] : [{ body: answers[url].body }]),
        ...(url.includes("/tdx/") ? [{ body: utf8("{}"), headers: answers[url].headers ?? {} }] : []),
      ];
      for (const answer of worse) {
        const { fetch } = service({ ...answers, [url]: answer });
        await assert.rejects(fetchCollateral(evidence, { fetch, nowMs }), coded("collateral.unavailable"), url);
      }
    }
    const fetch: Fetch = async () => await Promise.reject(new TypeError("fetch failed"));
    await assert.rejects(fetchCollateral(evidence, { fetch, nowMs }), coded("collateral.unavailable", /no answer/));
  });

  it("of SEV-SNP is the list of its product's root; Nitro needs none", async () => {
    const amd = new FakeAmd();
    const list = fromHex(amd.list());
    const { fetch, asked } = service({ "https://kdsintf.amd.com/vcek/v1/Milan/crl": { body: list } });
    const found = await fetchCollateral(amd.evidence(), { fetch, nowMs });
    assert.deepEqual(found, { ark_crl: Buffer.from(list).toString("hex") });
    await assert.rejects(
      fetchCollateral(amd.evidence({}, { product: "Genoa", kind: "VLEK" }), { fetch, nowMs }),
      coded("collateral.unavailable"),
    );
    assert.equal(asked[1], "https://kdsintf.amd.com/vlek/v1/Genoa/crl");
    const none = await fetchCollateral({ tee: "nitro", document: new Uint8Array(1) }, { fetch, nowMs });
    assert.equal(none, undefined);
  });
});

// SEV-SNP evidence of products, versions and faults of which there is no public sample.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Evidence, Verdict } from "../../../src/attestation/evidence.ts";
import type { AppraisalPolicy } from "../../../src/attestation/policy.ts";
import type { Roots } from "../../../src/attestation/roots.ts";
import { ROOTS } from "../../../src/attestation/roots.ts";
import { verifyEvidenceUnder } from "../../../src/attestation/verify.ts";
import { extension, makeKey } from "../../support/tee/authority.ts";
import { integer } from "../../support/tee/der-writer.ts";
import {
  chipIdOf,
  DAY_MS,
  FakeAmd,
  type LeafOptions,
  NOW,
  type Product,
  type ReportOptions,
} from "../../support/tee/fake-sev-snp.ts";

const amd = new FakeAmd();

interface Call {
  readonly policy?: AppraisalPolicy;
  readonly collateral?: unknown;
  readonly now?: Date;
  readonly roots?: Roots;
}

function verify(evidence: Evidence, { policy = {}, collateral, now = NOW, roots = amd.roots }: Call = {}): Verdict {
  return verifyEvidenceUnder(roots, evidence, { now, policy, collateral });
}

function reasonsOf(report: ReportOptions, leaf: LeafOptions = {}, call: Call = {}): readonly string[] {
  const { ok, reasons } = verify(amd.evidence(report, leaf), call);
  assert.equal(ok, reasons.length === 0);
  return reasons;
}

const turinChip = Uint8Array.from({ length: 64 }, (_, i) => (i < 8 ? i + 1 : 0));

describe("SEV-SNP evidence", () => {
  for (const version of [2, 3, 4, 5]) {
    for (const product of ["Milan", "Genoa", "Turin"] as Product[]) {
      for (const kind of ["VCEK", "VLEK"] as const) {
        it(`of version ${version} by a ${kind} of ${product} verifies`, () => {
          const chipId = product === "Turin" ? turinChip : chipIdOf(product);
          assert.deepEqual(reasonsOf({ version, chipId }, { product, kind, chipId: chipIdOf(product) }), []);
        });
      }
    }
  }

  it("says what it bound and measured", () => {
    const verdict = verify(amd.evidence());
    assert.equal(verdict.tee, "sev-snp");
    assert.equal(verdict.measurement, "e2".repeat(48));
    assert.equal(verdict.reportData, "d1".repeat(64));
  });

  it("whose chip id is masked verifies by its certificate", () => {
    assert.deepEqual(reasonsOf({ chipId: new Uint8Array(64) }), []);
  });

  const REPORTS: readonly (readonly [string, ReportOptions, RegExp])[] = [
    ["of version 1", { version: 1 }, /expected version 2 to 5, got 1/],
    ["of version 6", { version: 6 }, /expected version 2 to 5, got 6/],
    ["in debug mode", { policy: 0xb0000 }, /^it runs in debug mode$/],
    ["with a migration agent", { policy: 0x70000 }, /^policy: its memory may be migrated$/],
    ["without the policy's fixed bit", { policy: 0x10000 }, /bit 17/],
    ["of another VMPL", { vmpl: 1 }, /^policy: expected VMPL 0, got 1$/],
    ["asked for by the host", { vmpl: 0xffffffff }, /^policy: expected VMPL 0, got 4294967295$/],
    ["that is not signed", { signingKey: 7 }, /expected a signature by VCEK/],
    ["that says VLEK and comes with a VCEK", { signingKey: 1 }, /^certificates: expected a VLEK first, got VCEK$/],
    ["of another algorithm", { signatureAlgorithm: 2 }, /expected signature algorithm 1, got 2/],
    ["of another chip", { chipId: new Uint8Array(64).fill(9) }, /^chip id: the certificate is for another chip$/],
    ["of another TCB", { tcb: [4, 0, 0, 0, 0, 0, 24, 220] }, /microcode version: report 220, certificate 219$/],
  ];
  for (const [what, report, reason] of REPORTS) {
    it(`${what} is refused for that`, () => assert.match(reasonsOf(report).join("; "), reason));
  }

  const LEAVES: readonly (readonly [string, LeafOptions, RegExp])[] = [
    ["has expired", { notAfterMs: NOW.getTime() - 1000 }, /^AMD certificate 0: it has expired$/],
    ["is not valid yet", { notBeforeMs: NOW.getTime() + 1000 }, /^AMD certificate 0: it is not valid yet$/],
    ["is a CA's", { isCa: true }, /^AMD certificate 0: expected the end of a chain, got a CA$/],
    ["names no microcode", { tcb: { 1: 4, 2: 0, 3: 24 } }, /microcode version: report 219, certificate none$/],
    [
      "has a critical extension that nobody knows",
      { extensions: [extension("1.2.3.4", integer(1), true)] },
      /1\.2\.3\.4/,
    ],
    ["has an extension twice", { extensions: [extension("2.5.29.19", integer(1))] }, /stands twice/],
  ];
  for (const [what, leaf, reason] of LEAVES) {
    it(`whose certificate ${what} is refused for that`, () => assert.match(reasonsOf({}, leaf).join("; "), reason));
  }

  it("signed by another key than the certificate's is refused", () => {
    const evidence = { ...amd.evidence(), report: amd.report({}, makeKey("P-384")) };
    assert.deepEqual(verify(evidence).reasons, ["report: its signature does not hold"]);
  });

  it("of Turin under a Milan certificate is refused, though every byte of its TCB would fit", () => {
    const tcb = { 1: 1, 2: 2, 3: 0, 8: 77 };
    const { ok } = verify(amd.evidence({ tcb: [1, 2, 3, 4, 0, 0, 0, 77] }, { tcb: { ...tcb, 3: 4 } }));
    assert.equal(ok, false);
  });

  it("under a root of our own is refused by the pinned ones", () => {
    const bare = verify(amd.evidence(), { roots: ROOTS });
    assert.match(bare.reasons.join(), /issuer's signature does not hold/);
    const chain = [amd.leaf(), amd.ca("SEV-Milan"), amd.ca("ARK-Milan")];
    const whole = verify({ ...amd.evidence(), certificates: chain }, { roots: ROOTS });
    assert.match(whole.reasons.join(), /AMD: its root is not the pinned one/);
  });

  it("with a root of another name, with too many certificates or with none is refused", () => {
    const other = amd.makeCa("ARK-Rome", "ARK-Rome", 1);
    const middle = amd.makeCa("SEV-Milan", "ARK-Rome", 2);
    const [leaf, ark] = [amd.leaf(), amd.ca("ARK-Milan")];
    for (const certificates of [
      [leaf, middle, other],
      [leaf, amd.ca("SEV-Milan"), ark, ark],
      [],
      [ark],
      Array(9).fill(leaf),
    ]) {
      assert.equal(verify({ ...amd.evidence(), certificates }).ok, false);
    }
  });

  it("whose signer is revoked is refused, as under a list that is foreign, old, too new or damaged", () => {
    const listed = (list: string): readonly string[] => reasonsOf({}, {}, { collateral: { ark_crl: list } });
    assert.deepEqual(listed(amd.list()), []);
    assert.deepEqual(listed(amd.list({ serials: [5, 2] })), ["AMD signing key: its certificate is revoked"]);
    assert.deepEqual(listed(amd.list({ product: "Genoa" })), ["ark_crl: it is of another issuer"]);
    assert.deepEqual(listed(amd.list({ nextUpdateMs: NOW.getTime() - 1000 })), ["ark_crl: it has expired"]);
    assert.deepEqual(listed(amd.list({ thisUpdateMs: NOW.getTime() + 1000 })), ["ark_crl: it is not valid yet"]);
    const list = amd.list();
    const last = list.at(-1) === "0" ? "1" : "0";
    assert.deepEqual(listed(list.slice(0, -1) + last), ["ark_crl: its issuer's signature does not hold"]);
    for (const wrong of ["", "00", `${list}00`, list.toUpperCase()]) assert.notDeepEqual(listed(wrong), []);
    for (const collateral of [{ ark_crl: 1 }, { list: amd.list() }, "", 0]) {
      assert.notDeepEqual(reasonsOf({}, {}, { collateral }), []);
    }
  });

  it("meets a policy that demands a revocation list only with one", () => {
    const policy = { require_revocation_list: true };
    for (const collateral of [undefined, null, {}]) {
      assert.deepEqual(reasonsOf({}, {}, { collateral }), []);
      assert.deepEqual(reasonsOf({}, {}, { policy, collateral }), ["policy: expected a revocation list, got none"]);
    }
    assert.deepEqual(reasonsOf({}, {}, { policy, collateral: { ark_crl: amd.list() } }), []);
  });

  it("is read as a copy: bytes that change later change no verdict", () => {
    const evidence = amd.evidence();
    const verdict = verify(evidence);
    evidence.report.fill(0);
    assert.equal(verdict.measurement, "e2".repeat(48));
  });

  it("outlives its CAs by no day", () => {
    const late = new Date(NOW.getTime() + 1001 * DAY_MS);
    const leaf = { notAfterMs: late.getTime() + DAY_MS };
    assert.match(reasonsOf({}, leaf, { now: late }).join(), /AMD certificate 1: it has expired/);
  });
});

// Nitro documents: what real samples do not show.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Verdict } from "../../../src/attestation/evidence.ts";
import type { AppraisalPolicy } from "../../../src/attestation/policy.ts";
import { ROOTS, type Roots } from "../../../src/attestation/roots.ts";
import { verifyEvidenceUnder } from "../../../src/attestation/verify.ts";
import { concat } from "../../../src/core/bytes.ts";
import { type DocumentOptions, FakeAws, pcrsOf } from "../../support/tee/fake-nitro.ts";
import { NOW } from "../../support/tee/fake-sev-snp.ts";

const aws = new FakeAws();

function verify(options: DocumentOptions = {}, policy: AppraisalPolicy = {}, roots: Roots = aws.roots): Verdict {
  return verifyEvidenceUnder(roots, aws.evidence(options), { now: NOW, policy });
}

const field = (name: string, value: unknown): DocumentOptions => ({ fields: new Map([[name, value]]) });

describe("Nitro documents", () => {
  it("with and without the tag of COSE_Sign1, and with empty fields, verify", () => {
    for (const isTagged of [false, true]) assert.deepEqual(verify({ isTagged }).reasons, []);
    const bare = verify(field("user_data", null));
    assert.deepEqual([bare.ok, bare.reportData], [true, ""]);
    assert.equal(verify().reportData, "77".repeat(64));
    assert.equal(verify().measurement, "51".repeat(48));
  });

  const FAULTS: readonly (readonly [string, DocumentOptions, RegExp])[] = [
    ["in debug mode", field("pcrs", pcrsOf(0)), /^it runs in debug mode$/],
    ["without PCRs", field("pcrs", new Map()), /expected pcr0/],
    ["with a short PCR", field("pcrs", pcrsOf(1).set(3, new Uint8Array(32))), /pcr3: expected 48 to 48 bytes/],
    ["with a PCR too many", field("pcrs", pcrsOf(1).set(32, new Uint8Array(48))), /expected an index from 0 to 31/],
    ["of another digest", field("digest", "SHA256"), /digest: expected "SHA384"/],
    ["without a module", field("module_id", ""), /module_id: expected text/],
    ["without a time", field("timestamp", 0), /timestamp: expected milliseconds/],
    ["without CAs", field("cabundle", []), /cabundle: expected 1 to 7 certificates/],
    ["with a long field", field("nonce", new Uint8Array(1025)), /nonce: expected 0 to 1024 bytes/],
    ["of another algorithm", { protectedHeader: Uint8Array.of(0xa1, 0x01, 0x26) }, /expected ES384 alone/],
    ["with a second protected member", { protectedHeader: Uint8Array.of(0xa2, 1, 0x38, 0x22, 4, 0) }, /ES384 alone/],
    [
      "with an unprotected member",
      { unprotectedHeader: Uint8Array.of(0xa1, 4, 0) },
      /unprotected header: expected none/,
    ],
    [
      "with a list as unprotected header",
      { unprotectedHeader: Uint8Array.of(0x80) },
      /unprotected header: expected a map/,
    ],
    [
      "by an expired certificate",
      { leaf: { notAfterMs: NOW.getTime() - 1000 } },
      /^AWS certificate 0: it has expired$/,
    ],
    [
      "by a certificate to come",
      { leaf: { notBeforeMs: NOW.getTime() + 1000 } },
      /^AWS certificate 0: it is not valid/,
    ],
    ["by a CA", { leaf: { isCa: true } }, /too many certificates below|expected the end of a chain, got a CA/],
    ["by a foreign leaf", { leaf: { issuer: "elsewhere" } }, /^AWS certificate 0: the next certificate is not its/],
    ["by a leaf of another issuer's key", { leaf: { issuerKey: aws.rootKey } }, /issuer's signature does not hold/],
  ];
  for (const [what, options, reason] of FAULTS) {
    it(`${what} are refused for that`, () => {
      const { ok, reasons } = verify(options);
      assert.equal(ok, false);
      assert.match(reasons.join("; "), reason);
    });
  }

  it("with a CA that may not sign, or one too many below a CA, are refused", () => {
    const reasons = verify(field("cabundle", [aws.root, aws.evidence().document.subarray(0, 0)])).reasons.join();
    assert.match(reasons, /cabundle\[1\]/);
  });

  it("under a root of our own are refused by the pinned one", () => {
    assert.deepEqual(verify({}, {}, ROOTS).reasons, ["AWS: its root is not the pinned one"]);
  });

  it("that are no CBOR, or deeply nested, or of other parts, are refused", () => {
    const { document } = aws.evidence();
    const wrong = [
      new Uint8Array(0),
      new Uint8Array(60_000).fill(0x81),
      new Uint8Array(70_000),
      Uint8Array.of(0x83, 0x40, 0xa0, 0x40),
      Uint8Array.of(0x84, 0x40, 0xa0, 0x40, 0x40),
      concat(Uint8Array.of(0xd3), document),
      concat(document, document),
    ];
    for (const bytes of wrong) {
      const verdict = verifyEvidenceUnder(aws.roots, { tee: "nitro", document: bytes }, { now: NOW });
      assert.equal(verdict.ok, false);
      assert.equal(verdict.reasons.length, 1);
    }
  });

  it("older than the policy allows, or from the future, are refused", () => {
    const aged = (ms: number): readonly string[] =>
      verify(field("timestamp", NOW.getTime() - ms), { maximum_age_s: 60 }).reasons;
    assert.deepEqual(aged(60_000), []);
    assert.deepEqual(aged(60_001), ["policy: older than 60 s"]);
    assert.deepEqual(aged(-300_000), []);
    assert.deepEqual(aged(-300_001), ["policy: made in the future"]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { appraise, type Expectation, type Offer } from "../../../src/attestation/appraisal.ts";
import { type Binding, bindingMessage, reportData } from "../../../src/attestation/binding.ts";
import type { Evidence } from "../../../src/attestation/evidence.ts";
import { decodeEvidence, encodeEvidence, evidenceMessage } from "../../../src/attestation/evidence-message.ts";
import { makeSimulatedEvidence, type SimulatedReport } from "../../../src/attestation/simulated.ts";
import { equal, utf8 } from "../../../src/core/bytes.ts";
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

const binding: Binding = {
  tee: "simulated",
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

/** What an enclave signs that has this binding; changed: what it would not. */
function reportOf(of: Binding, changed: Partial<SimulatedReport> = {}): SimulatedReport {
  return {
    tee: "simulated",
    isolation: "permission",
    code_digest: of.code_log_entry,
    signature_public_key: of.signature_public_key,
    not_before: of.not_before,
    not_after: of.not_after,
    report_data: reportData(of),
    ...changed,
  };
}

const documentOf = (report: SimulatedReport, key = pair.secretKey): Uint8Array<ArrayBuffer> =>
  encodeEvidence({ tee: "simulated", document: makeSimulatedEvidence(report, key) });

const offer: Offer = {
  evidence: documentOf(reportOf(binding)),
  binding: bindingMessage.encode(binding),
  collateral: null,
  nonce_index: MINE,
  nonce_count: nonces.length,
  nonce_path: inclusionPath(leaves, MINE),
};

const expected: Expectation = {
  nowMs: NOW_MS,
  policy: { allow_simulated: true },
  runId: binding.run_id,
  policyHash: binding.policy_hash,
  nonce: nonces[MINE],
};

const NOT_FRESH = "it does not answer this device's nonce";
const UNBOUND = "it is bound to something else than what comes with it";

const VIOLATIONS: readonly (readonly [string, Partial<Expectation>, readonly string[]])[] = [
  ["simulation is not allowed", { policy: {} }, ["it is simulated, which the policy does not allow"]],
  ["the run is another", { runId: new Uint8Array(32) }, ["it is for another run"]],
  ["the policy is another", { policyHash: new Uint8Array(32) }, ["it is for another policy"]],
  ["its time has not come", { nowMs: binding.not_before - 1 }, ["it is not valid yet", "its epoch has not begun"]],
  ["its time is over", { nowMs: binding.not_after + 1 }, ["it has expired", "its epoch is over"]],
  ["the nonce is another", { nonce: new Uint8Array(32) }, [NOT_FRESH]],
];

const BAD_PATHS: readonly (readonly [string, Partial<Offer>])[] = [
  ["the nonce stands elsewhere", { nonce_index: 2 }],
  ["there are other nonces", { nonce_count: 4 }],
  ["the path is another", { nonce_path: inclusionPath(leaves, 2) }],
  ["there is no path", { nonce_path: [] }],
];

describe("evidence", () => {
  it("that meets every expectation gives the enclave's keys and epoch", () => {
    const { ok, reasons, enclave } = appraise(offer, expected);
    assert.deepEqual([ok, reasons], [true, []]);
    assert.deepEqual(enclave, binding);
  });

  it("serves every nonce under its root", () => {
    for (const [i, nonce] of nonces.entries()) {
      const mine = { ...offer, nonce_index: i, nonce_path: inclusionPath(leaves, i) };
      assert.deepEqual(appraise(mine, { ...expected, nonce }).reasons, [], `nonce ${i}`);
    }
  });

  it("is valid on both edges of its time", () => {
    for (const nowMs of [binding.not_before, binding.not_after]) assert.ok(appraise(offer, { ...expected, nowMs }).ok);
  });

  for (const [when, change, reasons] of VIOLATIONS) {
    it(`is refused for that reason alone where ${when}`, () => {
      const found = appraise(offer, { ...expected, ...change });
      assert.deepEqual([found.ok, found.reasons, found.enclave], [false, reasons, undefined]);
    });
  }

  for (const [when, change] of BAD_PATHS) {
    it(`is refused for that reason alone where ${when}`, () => {
      assert.deepEqual(appraise({ ...offer, ...change }, expected).reasons, [NOT_FRESH]);
    });
  }

  it("gives all reasons where there are several, and no key", () => {
    const wrong = { policy: {}, runId: new Uint8Array(32), nowMs: 0, nonce: new Uint8Array(32) };
    const { ok, reasons, enclave } = appraise(offer, { ...expected, ...wrong });
    assert.deepEqual([ok, reasons.length, enclave], [false, 5, undefined]);
  });

  it("or its binding with a bit flipped anywhere is refused or no evidence at all", () => {
    for (const member of ["evidence", "binding"] as const) {
      const { length } = offer[member];
      const places = [...Array(80).keys(), ...Array.from({ length: 200 }, (_, i) => Math.floor((i * length) / 200))];
      for (const at of [...places, length - 1]) {
        const altered = offer[member].slice();
        altered[at] ^= 1 << (at % 8);
        try {
          assert.equal(appraise({ ...offer, [member]: altered }, expected).ok, false, `${member}, byte ${at}`);
        } catch (error) {
          assert.ok(error instanceof QflareError && error.status < 500, `${member}, byte ${at}: ${error}`);
        }
      }
    }
  });

  it("signed by another key than the one it names is refused", () => {
    const other = signature("ML-DSA-44").generateKeyPair();
    const evidence = documentOf(reportOf(binding), other.secretKey);
    assert.ok(appraise({ ...offer, evidence }, expected).reasons.includes("its signature does not hold"));
  });

  it("signed by a key of its own, over the right report data, is refused", () => {
    const other = signature("ML-DSA-44").generateKeyPair();
    const evidence = documentOf(reportOf(binding, { signature_public_key: other.publicKey }), other.secretKey);
    assert.deepEqual(appraise({ ...offer, evidence }, expected).reasons, [
      "it is signed by another key than the enclave's",
    ]);
  });

  it("that does not bind each field of what comes with it is refused, though it is signed", () => {
    for (const [name, value] of Object.entries(binding)) {
      if (!(value instanceof Uint8Array)) continue;
      const altered = value.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
      const changed = bindingMessage.encode({ ...binding, [name]: altered });
      assert.ok(appraise({ ...offer, binding: changed }, expected).reasons.includes(UNBOUND), name);
    }
    for (const name of ["epoch", "not_before", "not_after"] as const) {
      const changed = bindingMessage.encode({ ...binding, [name]: binding[name] + 1 });
      assert.deepEqual(appraise({ ...offer, binding: changed }, expected).reasons, [UNBOUND], name);
    }
  });

  it("of one kind with a binding of another is refused", () => {
    const other: Binding = { ...binding, tee: "tdx" };
    const evidence = documentOf(reportOf(other));
    assert.deepEqual(appraise({ ...offer, evidence, binding: bindingMessage.encode(other) }, expected).reasons, [
      "it is of another kind than it is bound to",
    ]);
  });

  it("of another type is never read as simulated", () => {
    const sevSnp = { ...reportOf(binding), tee: "sev-snp" } as unknown as SimulatedReport;
    assert.throws(() => makeSimulatedEvidence(sevSnp, pair.secretKey), coded("message.malformed", /tee/));
    for (const bytes of [new Uint8Array(0), new Uint8Array(1184), utf8("{}")]) {
      assert.throws(() => appraise({ ...offer, evidence: bytes }, expected), coded("message.malformed"));
      assert.throws(() => appraise({ ...offer, binding: bytes }, expected), coded("message.malformed"));
    }
  });

  it("with collateral that is no JSON is none", () => {
    for (const collateral of [utf8("{"), utf8('{"ark_crl":"00","ark_crl":""}'), Uint8Array.of(0xff, 0xfe)]) {
      assert.throws(() => appraise({ ...offer, collateral }, expected), coded("message.malformed", /collateral/));
    }
  });

  it("travels as one message, whatever its kind, and with certificates for SEV-SNP alone", () => {
    const [document, certificate] = [random.bytes(70), random.bytes(80)];
    const kinds: Evidence[] = [
      { tee: "sev-snp", report: document, certificates: [certificate] },
      { tee: "tdx", quote: document },
      { tee: "sgx", quote: document },
      { tee: "nitro", document },
      { tee: "simulated", document },
    ];
    for (const kind of kinds) assert.deepEqual(decodeEvidence(encodeEvidence(kind)), kind);
    const odd = evidenceMessage.encode({ tee: "tdx", document, certificates: [certificate] });
    assert.throws(() => decodeEvidence(odd), coded("message.malformed", /no certificates/));
  });
});

describe("report data", () => {
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
    const { policy_hash, run_id, not_before, not_after, kem_public_key, signature_public_key } = binding;
    for (const swapped of [
      { policy_hash: run_id, run_id: policy_hash },
      { not_before: not_after, not_after: not_before },
      { kem_public_key: signature_public_key, signature_public_key: kem_public_key },
    ]) {
      assert.notEqual(hex(reportData({ ...binding, ...swapped })), base);
    }
  });
});

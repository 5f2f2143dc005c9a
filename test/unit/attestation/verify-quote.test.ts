// SGX and TDX evidence of every version, TCB state and fault.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Verdict } from "../../../src/attestation/evidence.ts";
import type { AppraisalPolicy } from "../../../src/attestation/policy.ts";
import { ROOTS, type Roots } from "../../../src/attestation/roots.ts";
import { verifyEvidenceUnder } from "../../../src/attestation/verify.ts";
import { extension, makeKey, makeRevocationList, pem } from "../../support/tee/authority.ts";
import { integer } from "../../support/tee/der-writer.ts";
import {
  type CollateralOptions,
  FakeIntel,
  level,
  PCK_SERIAL,
  PLATFORM_CA_SERIAL,
  type QuoteKind,
  type QuoteOptions,
  TCB_SIGNER_SERIAL,
} from "../../support/tee/fake-quote.ts";
import { DAY_MS, NOW } from "../../support/tee/fake-sev-snp.ts";

const intel = new FakeIntel();

interface Call {
  readonly policy?: AppraisalPolicy;
  readonly now?: Date;
  readonly roots?: Roots;
  readonly collateral?: unknown;
}

function teeOf(kind: QuoteKind | undefined): "sgx" | "tdx" {
  return kind?.startsWith("sgx") === true ? "sgx" : "tdx";
}

function verifyQuote(quote: Uint8Array, tee: "sgx" | "tdx", call: Call = {}): Verdict {
  const { policy = {}, now = NOW, roots = intel.roots, collateral = intel.collateral({ tee }) } = call;
  return verifyEvidenceUnder(roots, { tee, quote }, { now, policy, collateral });
}

function verify(options: QuoteOptions = {}, collateral: CollateralOptions = {}, call: Call = {}): Verdict {
  const tee = teeOf(options.kind);
  return verifyQuote(intel.quote(options), tee, { collateral: intel.collateral({ tee, ...collateral }), ...call });
}

function reasonsOf(...args: Parameters<typeof verify>): string {
  const { ok, reasons } = verify(...args);
  assert.equal(ok, reasons.length === 0);
  return reasons.join("; ");
}

describe("quotes", () => {
  for (const kind of ["sgx3", "sgx4", "sgx5", "tdx4", "tdx5", "tdx5-late"] as QuoteKind[]) {
    it(`of ${kind} verify and say what they bound and measured`, () => {
      const verdict = verify({ kind });
      assert.deepEqual(verdict.reasons, []);
      assert.equal(verdict.tcbStatus, "UpToDate");
      assert.equal(verdict.reportData, "77".repeat(64));
      assert.equal(verdict.measurement, teeOf(kind) === "sgx" ? "ab".repeat(32) : "cd".repeat(48));
      if (teeOf(kind) === "tdx") assert.equal(verdict.measurements.rtmr3, "a3".repeat(48));
    });

    it(`of ${kind} with a byte behind their end are refused`, () => {
      assert.match(reasonsOf({ kind, filling: { end: 1 } }), /^quote: 1 trailing bytes$/);
    });

    it(`of ${kind} cut off anywhere are refused`, () => {
      const quote = intel.quote({ kind });
      const collateral = intel.collateral({ tee: teeOf(kind) });
      for (let length = 0; length < quote.length; length += 61) {
        assert.equal(verifyQuote(quote.subarray(0, length), teeOf(kind), { collateral }).ok, false, `${length}`);
      }
    });
  }

  it("of TDX version 4 may lie in the quoting service's buffer of 5006 bytes, zeros behind them", () => {
    // The same certificates each time: their signatures vary in length.
    const chain = intel.chain();
    const end = 5006 - intel.quote({ chain }).length;
    assert.equal(reasonsOf({ chain, filling: { end } }), "");
    const quote = intel.quote({ chain, filling: { end } });
    assert.equal(quote.length, 5006);
    quote[5005] = 1;
    assert.match(verifyQuote(quote, "tdx").reasons.join(), /trailing bytes/);
  });

  it("of version 5 may count zeros in, at one place", () => {
    for (const filling of [{ chain: 70 }, { certification: 70 }]) {
      assert.equal(reasonsOf({ kind: "tdx5", filling }), "");
      assert.match(reasonsOf({ kind: "tdx4", filling }), /bytes behind its certificates/);
    }
    assert.match(reasonsOf({ kind: "tdx5", filling: { chain: 5, certification: 6 } }), /bytes behind/);
  });

  it("of one TEE are refused as the other", () => {
    assert.match(verifyQuote(intel.quote({ kind: "sgx3" }), "tdx").reasons.join(), /expected one of tdx, got sgx/);
    assert.match(verifyQuote(intel.quote({ kind: "tdx4" }), "sgx").reasons.join(), /expected one of sgx, got tdx/);
    const collateral = intel.collateral({ tee: "sgx" });
    assert.match(verifyQuote(intel.quote(), "tdx", { collateral }).reasons.join(), /tcb_info: it is for another TEE/);
  });

  const set = (offset: number, value: number) => (body: Uint8Array) => {
    body[offset] = value;
  };
  const BODIES: readonly (readonly [string, QuoteOptions, RegExp])[] = [
    ["of a domain in debug mode", { body: set(120, 1) }, /^it runs in debug mode$/],
    ["of a domain that may be migrated", { body: set(123, 0x30) }, /^policy: its memory may be migrated$/],
    ["of an enclave in debug mode", { kind: "sgx3", body: set(48, 7) }, /^it runs in debug mode$/],
    ["of a quoting enclave in debug mode", { qeReport: set(48, 7) }, /quoting enclave: it runs in debug mode/],
    ["of another signer's quoting enclave", { qeReport: set(128, 1) }, /^TCB: the quoting enclave is not a known one/],
    ["of another product's quoting enclave", { qeReport: set(256, 9) }, /^TCB: the quoting enclave is not a known one/],
    ["of an unknown TDX module", { body: set(1, 2) }, /^TCB: the TDX module is not a known one/],
    ["of a TDX module by another signer", { body: set(64, 1) }, /^TCB: the TDX module is not a known one/],
    ["of a TDX module with attributes", { body: set(112, 1) }, /^TCB: the TDX module is not a known one/],
    ["of a TDX module below every level", { body: set(0, 3) }, /^TCB: the TDX module is not a known one/],
    ["of a platform below every level", { body: set(5, 2) }, /^TCB: the platform reaches no known level/],
    [
      "with other authentication data",
      { qeAuthenticationData: new Uint8Array(32) },
      /report is for another attestation key/,
    ],
    ["with more behind the key's digest", { qeReport: set(352, 1) }, /report is for another attestation key/],
  ];
  for (const [what, options, reason] of BODIES) {
    it(`${what} are refused for that`, () => assert.match(reasonsOf(options), reason));
  }

  it("by a key that no quoting enclave vouches for are refused", () => {
    const other = makeKey("P-256");
    const own = intel.quote();
    const quote = intel.quote({
      attestationKey: other,
      qeReport: (report) => report.set(own.subarray(48 + 584 + 4 + 128 + 6 + 320).subarray(0, 64), 320),
    });
    assert.deepEqual(verifyQuote(quote, "tdx").reasons, ["quoting enclave: its report is for another attestation key"]);
  });

  it("with chains that are cut, foreign, expired, not valid yet, or not certificates are refused", () => {
    const { root } = intel;
    const ca = intel.platformCa();
    const other = new FakeIntel();
    const times = (notBeforeMs: number, notAfterMs: number): string => intel.chain({ notBeforeMs, notAfterMs });
    const now = NOW.getTime();
    const CHAINS: readonly (readonly [string, RegExp])[] = [
      [pem(intel.pck(), ca), /expected a chain of 3/],
      [pem(intel.pck(), ca, root, root), /expected a chain of 3/],
      [pem(intel.pck(), root, ca), /not its issuer/],
      [pem(intel.pck(), ca, other.root), /its root is not the pinned one/],
      [other.chain(), /its root is not the pinned one/],
      [times(now - DAY_MS, now - 1000), /PCK certificate 0: it has expired/],
      [times(now + 1000, now + DAY_MS), /PCK certificate 0: it is not valid yet/],
      [intel.chain({ isCa: true }), /expected the end of a chain, got a CA/],
      [intel.chain({ extensions: [] }), /expected extension 1\.2\.840\.113741\.1\.13\.1/],
      [intel.chain().replace("\n", "\r\n"), /expected certificates as PEM text/],
      [`${intel.chain()}x\n`, /expected certificates as PEM text/],
      [intel.chain().replaceAll("-----END", "\n-----END"), /expected certificates as PEM text/],
      ["", /expected a chain of 3|cut off|PEM text/],
    ];
    for (const [chain, reason] of CHAINS) assert.match(reasonsOf({ chain }), reason);
  });

  it("under a root of our own are refused by the pinned one", () => {
    assert.match(reasonsOf({}, {}, { roots: ROOTS }), /PCK: its root is not the pinned one/);
  });
});

describe("the TCB", () => {
  const info = (change: (info: Record<string, unknown>) => void): CollateralOptions => ({ tcbInfo: change });
  const levels = (...list: object[]): CollateralOptions =>
    info((found) => {
      found.tcbLevels = list;
    });
  const allowed = { allowed_statuses: ["UpToDate", "SWHardeningNeeded", "OutOfDate"] };

  it("is the first level that the platform reaches in every component", () => {
    const list = [
      level("tdx", { sgx: 6, status: "UpToDate" }),
      level("tdx", { pce: 14, status: "UpToDate" }),
      level("tdx", { tdx: 4, status: "UpToDate" }),
      level("tdx", { status: "SWHardeningNeeded", advisories: ["INTEL-SA-2", "INTEL-SA-1"] }),
      level("tdx", { sgx: 1, status: "OutOfDate" }),
    ];
    const { ok, tcbStatus, advisories } = verify({}, levels(...list), { policy: allowed });
    assert.deepEqual([ok, tcbStatus, advisories], [true, "SWHardeningNeeded", ["INTEL-SA-1", "INTEL-SA-2"]]);
  });

  it("leaves the first two TDX components to the module's identity from module version 1 on", () => {
    const high = level("tdx");
    const { tdxtcbcomponents } = high.tcb as { tdxtcbcomponents: { svn: number }[] };
    tdxtcbcomponents[0] = { svn: 200 };
    tdxtcbcomponents[1] = { svn: 200 };
    assert.equal(reasonsOf({}, levels(high)), "");
    const body = (bytes: Uint8Array): void => {
      bytes[1] = 0;
    };
    assert.match(reasonsOf({ body }, levels(high)), /the platform reaches no known level/);
    assert.match(reasonsOf({ body }), /the platform reaches no known level/);
    const low = level("tdx", { tdx: 0 });
    assert.equal(reasonsOf({ body }, levels(low)), "");
  });

  const STATUSES = [
    ["UpToDate", "OutOfDate", "OutOfDate"],
    ["SWHardeningNeeded", "OutOfDate", "OutOfDate"],
    ["ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"],
    ["ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"],
    ["ConfigurationNeeded", "UpToDate", "ConfigurationNeeded"],
    ["UpToDate", "Revoked", "Revoked"],
  ] as const;
  for (const [platform, part, whole] of STATUSES) {
    it(`of a platform ${platform} with a quoting enclave or module ${part} is ${whole}`, () => {
      const partLevel = {
        tcb: { isvsvn: 1 },
        tcbDate: "2025-01-01T00:00:00Z",
        tcbStatus: part,
        advisoryIDs: ["INTEL-SA-9"],
      };
      const viaQe: CollateralOptions = {
        ...levels(level("tdx", { status: platform })),
        qeIdentity: (identity) => {
          identity.tcbLevels = [partLevel];
        },
      };
      const viaModule = info((found) => {
        found.tcbLevels = [level("tdx", { status: platform })];
        const [module] = found.tdxModuleIdentities as Record<string, unknown>[];
        module.tcbLevels = [partLevel];
      });
      for (const collateral of [viaQe, viaModule]) {
        const verdict = verify({}, collateral);
        assert.equal(verdict.tcbStatus, whole);
        assert.deepEqual(verdict.advisories, ["INTEL-SA-9"]);
        assert.equal(verdict.ok, false);
      }
    });
  }

  const BROKEN: readonly (readonly [string, CollateralOptions, RegExp])[] = [
    [
      "that has expired",
      info((i) => {
        i.nextUpdate = "2026-04-30T23:59:59Z";
      }),
      /^tcb_info: it has expired$/,
    ],
    [
      "that is not valid yet",
      info((i) => {
        i.issueDate = "2026-05-01T00:00:01Z";
      }),
      /^tcb_info: it is not valid yet$/,
    ],
    [
      "of another platform",
      info((i) => {
        i.fmspc = "50806F000001";
      }),
      /^tcb_info: it is for another platform$/,
    ],
    [
      "of another PCE",
      info((i) => {
        i.pceId = "0001";
      }),
      /^tcb_info: it is for another platform$/,
    ],
    [
      "of another version",
      info((i) => {
        i.version = 2;
      }),
      /expected version 3, got 2/,
    ],
    [
      "without levels",
      info((i) => {
        i.tcbLevels = [];
      }),
      /the platform reaches no known level/,
    ],
    [
      "with levels that are none",
      info((i) => {
        i.tcbLevels = "x";
      }),
      /tcb_info\.tcbLevels: expected a list/,
    ],
    ["with a status that nobody knows", levels(level("tdx", { status: "Fine" })), /TCB status Fine/],
    [
      "without a date",
      info((i) => {
        delete i.nextUpdate;
      }),
      /tcb_info\.nextUpdate: expected text/,
    ],
    [
      "with a date of another form",
      info((i) => {
        i.nextUpdate = "2027-01-01";
      }),
      /expected a time in UTC/,
    ],
    ["of a revoked platform", levels(level("tdx", { status: "Revoked" })), /TCB status Revoked is not allowed/],
  ];
  for (const [what, collateral, reason] of BROKEN) {
    it(`info ${what} is refused`, () => assert.match(reasonsOf({}, collateral), reason));
  }

  it("info signed by a CA of platforms, or under a chain of another length, is refused", () => {
    const whole = intel.collateral();
    const byCa = { ...whole, tcb_info_issuer_chain: whole.pck_crl_issuer_chain };
    const reasons = reasonsOf({}, {}, { collateral: byCa });
    assert.match(reasons, /tcb_info_issuer_chain certificate 0: expected the end of a chain, got a CA/);
    assert.match(reasons, /tcb_info: its signature does not hold/);
    for (const chain of [pem(intel.root), whole.tcb_info_issuer_chain + pem(intel.root)]) {
      const collateral = { ...whole, qe_identity_issuer_chain: chain };
      assert.match(reasonsOf({}, {}, { collateral }), /expected an issuer and the root/);
    }
  });

  it("identity that has expired, is not valid yet or is of another enclave is refused", () => {
    const identity = (change: (identity: Record<string, unknown>) => void): string =>
      reasonsOf({}, { qeIdentity: change });
    assert.match(
      identity((i) => {
        i.nextUpdate = "2026-04-30T23:59:59Z";
      }),
      /^qe_identity: it has expired$/,
    );
    assert.match(
      identity((i) => {
        i.issueDate = "2026-05-01T00:00:01Z";
      }),
      /^qe_identity: it is not valid yet$/,
    );
    assert.match(
      identity((i) => {
        i.id = "QE";
      }),
      /^qe_identity: it is for another enclave$/,
    );
    assert.match(
      identity((i) => {
        i.tcbLevels = [];
      }),
      /the quoting enclave is not a known one/,
    );
    assert.match(
      identity((i) => {
        i.miscselect = "00000001";
      }),
      /the quoting enclave is not a known one/,
    );
  });
});

describe("revocation", () => {
  it("of the platform, of its CA and of the TCB signer is noticed", () => {
    assert.match(reasonsOf({}, { pckSerials: [1, PCK_SERIAL] }), /^platform \(PCK\): its certificate is revoked$/);
    assert.match(reasonsOf({}, { rootSerials: [PLATFORM_CA_SERIAL] }), /PCK issuer: its certificate is revoked/);
    const signer = reasonsOf({}, { rootSerials: [TCB_SIGNER_SERIAL] });
    assert.match(signer, /tcb_info_issuer_chain: its certificate is revoked; qe_identity_issuer_chain: its cert/);
    assert.equal(reasonsOf({}, { pckSerials: [1, 2, 3], rootSerials: [4] }), "");
  });

  it("lists that have expired or are not valid yet are refused", () => {
    const now = NOW.getTime();
    const old = { thisUpdateMs: now - DAY_MS, nextUpdateMs: now - 1000 };
    const young = { thisUpdateMs: now + 1000, nextUpdateMs: now + DAY_MS };
    assert.equal(reasonsOf({}, { listTimes: old }), "root_ca_crl: it has expired; pck_crl: it has expired");
    assert.match(reasonsOf({}, { listTimes: young }), /^root_ca_crl: it is not valid yet; pck_crl: it is not/);
  });

  const times = { thisUpdateMs: NOW.getTime() - DAY_MS, nextUpdateMs: NOW.getTime() + DAY_MS };
  const PLATFORM_CA = "Intel SGX PCK Platform CA";
  const hexList = (...args: Parameters<typeof makeRevocationList>): string =>
    Buffer.from(makeRevocationList(...args)).toString("hex");
  const LISTS: readonly (readonly [string, string, RegExp])[] = [
    ["empty", "", /pck_crl/],
    ["garbage", "deadbeef", /pck_crl/],
    ["not hexadecimal", "zz", /expected lower-case hexadecimal/],
    ["of another key", hexList({ issuer: PLATFORM_CA, issuerKey: intel.tcbKey, ...times }), /signature does not hold/],
    ["of another issuer", hexList({ issuer: "Other", issuerKey: intel.caKey, ...times }), /it is of another issuer/],
    [
      "for part of the certificates",
      hexList({
        issuer: PLATFORM_CA,
        issuerKey: intel.caKey,
        ...times,
        extensions: [extension("2.5.29.28", integer(0), true)],
      }),
      /critical extension 2\.5\.29\.28 is not understood/,
    ],
  ];
  for (const [what, list, reason] of LISTS) {
    it(`by a list that is ${what} is refused`, () => {
      const collateral = { ...intel.collateral(), pck_crl: list };
      assert.match(reasonsOf({}, {}, { collateral }), reason);
    });
  }

  it("without collateral, or with other than text in it, is refused", () => {
    for (const collateral of [null, 0, "x", {}, { ...intel.collateral(), tcb_info: 1 }]) {
      assert.match(reasonsOf({}, {}, { collateral }), /collateral: expected/);
    }
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { Claims } from "../../../src/attestation/evidence.ts";
import { Findings } from "../../../src/attestation/findings.ts";
import { type AppraisalPolicy, POLICY_MEMBERS, readPolicy, requirePolicy } from "../../../src/attestation/policy.ts";
import { coded } from "../../support/errors.ts";

const NOW_MS = Date.parse("2026-05-01T00:00:00Z");

const sevSnp: Claims = {
  tee: "sev-snp",
  measurement: "aa",
  measurements: { measurement: "aa", host_data: "bb", id_key_digest: "cc" },
  reportData: "dd",
  debug: false,
  tcb: { bootloader: 4, microcode: 219 },
  vmpl: 0,
  isMigratable: false,
  isRevocationChecked: false,
};
const tdx: Claims = {
  ...sevSnp,
  tee: "tdx",
  tcb: { sgx_1: 5, tdx_1: 3, pcesvn: 13 },
  tcbStatus: "UpToDate",
  tcbDateMs: Date.parse("2026-01-01T00:00:00Z"),
  advisories: ["INTEL-SA-1", "INTEL-SA-2"],
  isRevocationChecked: true,
  issuedMs: NOW_MS - 1000,
};
const simulated: Claims = { ...sevSnp, tee: "simulated", tcb: {}, issuedMs: NOW_MS - 1000 };

function reasonsOf(claims: Claims, policy: AppraisalPolicy): readonly string[] {
  const findings = new Findings();
  requirePolicy(findings, claims, readPolicy(policy), NOW_MS);
  return findings.reasons;
}

const MET: readonly (readonly [string, Claims, AppraisalPolicy])[] = [
  ["its measurement is one of several", sevSnp, { allowed_measurements: ["00", "aa"] }],
  [
    "several of its measurements hold together",
    sevSnp,
    { allowed_measurements: [{ host_data: "bb", measurement: "aa" }] },
  ],
  ["its TCB is the least allowed", sevSnp, { minimum_tcb: { "sev-snp": { bootloader: 4, microcode: 219 } } }],
  ["the least TCB is that of another TEE", sevSnp, { minimum_tcb: { tdx: { tdx_1: 99 } } }],
  ["its report data are the expected ones", sevSnp, { report_data: "dd" }],
  ["its VMPL is the expected one", { ...sevSnp, vmpl: 2 }, { vmpl: 2 }],
  ["migration is allowed", { ...sevSnp, isMigratable: true }, { allow_migration: true }],
  ["its status is allowed", { ...tdx, tcbStatus: "OutOfDate" }, { allowed_statuses: ["OutOfDate"] }],
  ["all its advisories are allowed", tdx, { allowed_advisories: ["INTEL-SA-2", "INTEL-SA-1", "INTEL-SA-3"] }],
  ["its level is recent", tdx, { minimum_tcb_date: "2026-01-01" }],
  ["it is young enough", tdx, { maximum_age_s: 1 }],
  ["simulation is allowed", simulated, { allow_simulated: true }],
  ["statuses are for other TEEs", sevSnp, { allowed_statuses: ["OutOfDate"] }],
];

const MISSED: readonly (readonly [string, Claims, AppraisalPolicy, string])[] = [
  ["its measurement is another", sevSnp, { allowed_measurements: ["00"] }, "policy: measurement aa is not allowed"],
  [
    "one of several measurements is another",
    sevSnp,
    { allowed_measurements: [{ measurement: "aa", host_data: "00" }] },
    "policy: measurement aa is not allowed",
  ],
  [
    "a measurement has a name that no evidence has",
    sevSnp,
    { allowed_measurements: [{ constructor: "aa" }] },
    "policy: measurement aa is not allowed",
  ],
  [
    "a component of its TCB is older",
    sevSnp,
    { minimum_tcb: { "sev-snp": { microcode: 220 } } },
    "policy: expected microcode of at least 220, got 219",
  ],
  [
    "a component of its TCB is not there",
    sevSnp,
    { minimum_tcb: { "sev-snp": { fmc: 0 } } },
    "policy: expected fmc of at least 0, got none",
  ],
  ["its report data are others", sevSnp, { report_data: "de" }, "policy: it is bound to other report data"],
  ["its VMPL is lower", { ...sevSnp, vmpl: 1 }, {}, "policy: expected VMPL 0, got 1"],
  ["its VMPL is higher", sevSnp, { vmpl: 1 }, "policy: expected VMPL 1, got 0"],
  ["its memory may move", { ...sevSnp, isMigratable: true }, {}, "policy: its memory may be migrated"],
  ["it is in debug mode", { ...sevSnp, debug: true }, {}, "it runs in debug mode"],
  ["its status is another", { ...tdx, tcbStatus: "OutOfDate" }, {}, "policy: TCB status OutOfDate is not allowed"],
  [
    "its platform is revoked",
    { ...tdx, tcbStatus: "Revoked" },
    { allowed_statuses: ["OutOfDate"] },
    "policy: TCB status Revoked is not allowed",
  ],
  ["an advisory is open", tdx, { allowed_advisories: ["INTEL-SA-1"] }, "policy: not allowed advisories: INTEL-SA-2"],
  ["its level is old", tdx, { minimum_tcb_date: "2026-01-02" }, "policy: the TCB level is older than 2026-01-02"],
  ["it is too old", { ...tdx, issuedMs: NOW_MS - 1001 }, { maximum_age_s: 1 }, "policy: older than 1 s"],
  ["its age cannot be told", sevSnp, { maximum_age_s: 1 }, "policy: evidence of sev-snp has no age"],
  ["it is simulated", simulated, {}, "it is simulated, which the policy does not allow"],
  [
    "it is simulated, allowed not by name",
    simulated,
    { allow_simulated: false },
    "it is simulated, which the policy does not allow",
  ],
];

describe("an appraisal policy", () => {
  it("may pin by name what is words, not bytes: of Nitro the module, of simulation the isolation", () => {
    const named = { module_id: "i-0A-enc1", isolation: "tee", measurement: "aa", isvprodid: "7" };
    assert.deepEqual(readPolicy({ allowed_measurements: [named] }), { allowed_measurements: [named] });
  });

  it("may be an object without a prototype, and may name a leap day", () => {
    const plain = { minimum_tcb_date: "2024-02-29" };
    for (const policy of [plain, Object.assign(Object.create(null), plain)]) {
      assert.deepEqual(readPolicy(policy), plain);
    }
  });

  for (const [when, claims, policy] of MET) {
    it(`is met where ${when}`, () => assert.deepEqual(reasonsOf(claims, policy), []));
  }

  for (const [when, claims, policy, reason] of MISSED) {
    it(`is missed for that reason alone where ${when}`, () => assert.deepEqual(reasonsOf(claims, policy), [reason]));
  }

  it("without a status is not met by evidence without one", () => {
    const { tcbStatus: _, ...unknown } = tdx;
    assert.deepEqual(reasonsOf(unknown, {}), ["policy: TCB status unknown is not allowed"]);
  });

  it("is documented in every member and no other", () => {
    const page = readFileSync(new URL("../../../docs/attestation.md", import.meta.url), "utf8");
    const section = page.split("\n## Policy\n")[1].split("\n## ")[0];
    const rows = [...section.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
    assert.deepEqual(rows.sort(), Object.keys(POLICY_MEMBERS).sort());
  });

  it("with an unknown member, another type or a value out of range is refused", () => {
    const wrong = [
      ...[
        null,
        [],
        "x",
        1,
        new Date(),
        /x/,
        new Map(),
        new Error("x"),
        Object.create({ allow_simulated: true }),
        undefined,
        { allowed_measurement: ["aa"] },
        { allowed_measurements: [] },
      ],
      ...[{ allowed_measurements: ["AA"] }, { allowed_measurements: [{}] }, { allowed_measurements: "aa" }],
      ...[
        { allowed_statuses: ["Revoked"] },
        { allowed_statuses: [] },
        { vmpl: 4 },
        { vmpl: "0" },
        { maximum_age_s: 0 },
      ],
      ...[{ allowed_measurements: [{ measurement: "AA" }] }, { allowed_measurements: [{ pcr0: "" }] }],
      ...["2024-99-99", "2024-02-31", "2023-02-29", "0000-00-00", "2024-2-1"].map((minimum_tcb_date) => ({
        minimum_tcb_date,
      })),
      ...[{ minimum_tcb: { "sev-snp": { microcode: -1 } } }, { minimum_tcb: { milan: { microcode: 1 } } }],
      ...[
        { minimum_tcb_date: "yesterday" },
        { allow_simulated: "yes" },
        { report_data: "" },
        { report_data: undefined },
      ],
    ];
    for (const policy of wrong) assert.throws(() => readPolicy(policy), coded("config.invalid", /appraisal policy/));
  });
});

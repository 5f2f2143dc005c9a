// SEV-SNP and TDX through configfs-tsm, against the kernel's rules.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { HardwareEvidence } from "../../../src/attestation/evidence.ts";
import { readQuote } from "../../../src/attestation/quote.ts";
import { readSevSnpReport } from "../../../src/attestation/sev-snp-report.ts";
import { readTdReport } from "../../../src/attestation/td-report.ts";
import { verifyEvidence } from "../../../src/attestation/verify.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { certificatesOfHost } from "../../../src/enclave/attesters/certificate-table.ts";
import { ConfigfsTsm, PREPARED_ENTRY, TSM_ERRORS } from "../../../src/enclave/attesters/configfs-tsm.ts";
import { writeDevice } from "../../../src/enclave/attesters/device-files.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { certificateTable } from "../../support/tee/certificate-table.ts";
import { deviceError } from "../../support/tee/device-error.ts";
import { FakeTsm, type Report, type TsmOptions } from "../../support/tee/fake-tsm.ts";
import { quoteSample, sevSnpSample } from "../../support/tee/samples.ts";

const snp = sevSnpSample("milan-v2-virtee");
const snpEvidence = snp.evidence as Extract<HardwareEvidence, { tee: "sev-snp" }>;
const snpData = readSevSnpReport(new Uint8Array(snpEvidence.report)).reportData;
const snpReport: Report = { outblob: snpEvidence.report, auxblob: certificateTable(snpEvidence.certificates) };

const tdx = quoteSample("tdx/v4-with-collateral");
const quote = (tdx.evidence as Extract<HardwareEvidence, { tee: "tdx" | "sgx" }>).quote;
const tdxData = readTdReport(readQuote(new Uint8Array(quote)).body).reportData;

/** The real report, bound to whatever was asked for: its signature does not hold any more. */
function reportFor(inblob: Uint8Array): Report {
  const outblob = snpEvidence.report.slice();
  outblob.set(inblob, 0x50);
  return { outblob, auxblob: snpReport.auxblob! };
}

interface Set {
  readonly tsm: FakeTsm;
  readonly waits: number[];
  attest(reportData?: Uint8Array): Promise<HardwareEvidence>;
}

function setUp(options: Partial<TsmOptions> = {}): Set {
  const provider = options.provider ?? "sev_guest";
  const report = provider === "sev_guest" ? (): Report => snpReport : (): Report => ({ outblob: quote });
  const tsm = new FakeTsm({ provider, report, ...options });
  const waits: number[] = [];
  const wait = async (ms: number): Promise<void> => void waits.push(ms);
  const tee = provider === "sev_guest" ? "sev-snp" : "tdx";
  const attester = new ConfigfsTsm(tee, { files: tsm, random: seededRandom("tsm"), wait });
  const own = tee === "sev-snp" ? snpData : tdxData;
  return { tsm, waits, attest: async (reportData = own) => await attester.attest(reportData) };
}

function assertTidy({ tsm }: Set, entries: readonly string[] = []): void {
  assert.deepEqual([tsm.entries, tsm.filesOpen], [entries, 0]);
}

describe("configfs-tsm", () => {
  it("gives a SEV-SNP report with the host's certificates, which verifies", async () => {
    const set = setUp();
    const evidence = await set.attest();
    assert.deepEqual(verifyEvidence(evidence, { now: snp.now }).reasons, []);
    assertTidy(set);
  });

  it("gives a TDX quote, which verifies with its collateral", async () => {
    const set = setUp({ provider: "tdx_guest" });
    const evidence = await set.attest();
    assert.deepEqual(verifyEvidence(evidence, { now: tdx.now, collateral: tdx.collateral }).reasons, []);
    assertTidy(set);
  });

  it("asks for the most privileged level that the guest has", async () => {
    const levels: number[] = [];
    const report = (inblob: Uint8Array, level: number): Report => {
      levels.push(level);
      return reportFor(inblob);
    };
    await setUp({ report, privilegeFloor: 2 }).attest();
    await setUp({ report }).attest();
    assert.deepEqual(levels, [2, 0]);
  });

  it("says what each error of the kernel means, and leaves no entry behind", async () => {
    const calls = ["read outblob", "write privlevel", "open inblob", "read auxblob"];
    const lasting = Object.entries(TSM_ERRORS).filter(([, { isPassing }]) => isPassing === undefined);
    assert.ok(lasting.length > 5);
    for (const [errno, { code, text }] of lasting) {
      for (const call of calls) {
        const set = setUp();
        set.tsm.refusals.push([call, errno]);
        const isTold = (error: unknown): boolean =>
          coded(code, new RegExp(errno))(error) && (error as Error).message.includes(text);
        await assert.rejects(set.attest(), isTold, `${errno} of ${call}`);
        assert.deepEqual(set.waits, []);
        assertTidy(set);
      }
    }
  });

  it("says what is missing where no entry can be made", async () => {
    for (const errno of ["ENOENT", "ENXIO", "EACCES", "EPERM"]) {
      const set = setUp();
      set.tsm.refusals.push(["mkdir", errno]);
      await assert.rejects(set.attest(), coded("evidence.unavailable", new RegExp(errno)));
    }
  });

  it("tries again after an error that passes, longer and longer", async () => {
    const passing = Object.keys(TSM_ERRORS).filter((errno) => TSM_ERRORS[errno]!.isPassing);
    assert.deepEqual(passing, ["EBUSY", "EAGAIN", "EINTR", "ETIMEDOUT"]);
    for (const errno of passing) {
      const set = setUp();
      set.tsm.refusals.push(["read outblob", errno], ["read outblob", errno]);
      assert.deepEqual(await set.attest(), snpEvidence);
      assert.deepEqual(set.waits, [400, 1600]);
      assertTidy(set);
    }
  });

  it("gives up after a few attempts", async () => {
    const set = setUp();
    for (let i = 0; i < LIMITS.attestationAttemptsMax; i++) set.tsm.refusals.push(["read outblob", "EBUSY"]);
    await assert.rejects(set.attest(), coded("evidence.failed", /another request is on its way/));
    assert.equal(set.waits.length, LIMITS.attestationAttemptsMax - 1);
    assert.ok(set.waits.every((ms) => ms <= LIMITS.attestationWaitMsMax));
    assertTidy(set);
  });

  it("notices that the driver did not take its data at close, and does not read the earlier report", async () => {
    const set = setUp({ report: reportFor, prepared: [PREPARED_ENTRY] });
    const earlier = new Uint8Array(64).fill(1);
    await set.attest(earlier);
    set.tsm.storesLost = 1;
    const own = new Uint8Array(64).fill(2);
    const evidence = (await set.attest(own)) as typeof snpEvidence;
    assert.deepEqual(readSevSnpReport(new Uint8Array(evidence.report)).reportData, own);
    assert.equal(set.waits.length, 1);
  });

  it("gives up where the driver never takes its data", async () => {
    const set = setUp();
    set.tsm.storesLost = Number.POSITIVE_INFINITY;
    await assert.rejects(set.attest(), coded("evidence.failed", /expected nobody else to write/));
    assertTidy(set);
  });

  it("notices another user of its entry between its own calls", async () => {
    const set = setUp({ report: reportFor, prepared: [PREPARED_ENTRY] });
    const path = `/sys/kernel/config/tsm/report/${PREPARED_ENTRY}/inblob`;
    let others = 2;
    set.tsm.beforeReport = () => {
      if (others-- > 0) writeDevice(set.tsm, path, new Uint8Array(64).fill(9));
    };
    const own = new Uint8Array(64).fill(3);
    const evidence = (await set.attest(own)) as typeof snpEvidence;
    assert.deepEqual(readSevSnpReport(new Uint8Array(evidence.report)).reportData, own);
    assert.equal(set.waits.length, 2);
  });

  it("refuses what a driver calls a report and is none", async () => {
    for (const outblob of [new Uint8Array(0), new Uint8Array(1184), snpEvidence.report.subarray(1)]) {
      const set = setUp({ report: () => ({ ...snpReport, outblob }) });
      await assert.rejects(set.attest(), coded("evidence.failed", /expected a report of sev-snp/));
      assertTidy(set);
    }
    const sgx = (quoteSample("sgx/v3-with-collateral").evidence as { quote: Uint8Array }).quote;
    for (const outblob of [new Uint8Array(0), new Uint8Array(8192), sgx]) {
      const set = setUp({ provider: "tdx_guest", report: () => ({ outblob }) });
      await assert.rejects(set.attest(), coded("evidence.failed", /expected a (report|quote) of tdx/));
    }
  });

  it("refuses a report of somebody else's data", async () => {
    for (const provider of ["sev_guest", "tdx_guest"] as const) {
      const refused = coded("evidence.failed", /expected its own report data/);
      await assert.rejects(setUp({ provider }).attest(new Uint8Array(64)), refused);
    }
  });

  it("refuses a driver of other hardware", async () => {
    const tsm = new FakeTsm({ provider: "sev_guest", report: () => snpReport });
    const attester = new ConfigfsTsm("tdx", { files: tsm, random: seededRandom("tsm"), wait: async () => undefined });
    await assert.rejects(
      attester.attest(tdxData),
      coded("evidence.unavailable", /expected tdx_guest .* got sev_guest/),
    );
    assert.deepEqual(tsm.entries, []);
  });

  it("leaves an entry that root made, and makes its own elsewhere", async () => {
    const set = setUp({ prepared: [PREPARED_ENTRY] });
    set.tsm.refusals.push(["mkdir", "EACCES"]);
    await set.attest();
    assertTidy(set, [`/sys/kernel/config/tsm/report/${PREPARED_ENTRY}`]);
  });

  it("tells of an entry that it could not remove, and of what went wrong before", async () => {
    const set = setUp();
    set.tsm.refusals.push(["rmdir", "EPERM"]);
    await assert.rejects(set.attest(), coded("evidence.unavailable", /EPERM/));
    const failing = setUp();
    failing.tsm.refusals.push(["read outblob", "EIO"], ["rmdir", "EPERM"]);
    await assert.rejects(failing.attest(), coded("evidence.failed", /firmware refuses.*stays behind.*EPERM/));
  });

  it("takes 64 bytes of report data and no other number", async () => {
    for (const length of [0, 63, 65]) await assert.rejects(setUp().attest(new Uint8Array(length)), RangeError);
  });

  it("refuses an error that is unknown, and passes on what is no error of the kernel", async () => {
    const set = setUp();
    set.tsm.refusals.push(["read outblob", "EXDEV"]);
    await assert.rejects(set.attest(), coded("evidence.failed", /not known for.*EXDEV/));
    const broken = setUp({
      report: () => {
        throw new TypeError("a fault of the program");
      },
    });
    await assert.rejects(broken.attest(), TypeError);
    assertTidy(broken);
  });

  it("meets a fake that gives the earlier report when a write is lost, as the kernel does", () => {
    const tsm = new FakeTsm({ provider: "sev_guest", report: reportFor });
    const entry = "/sys/kernel/config/tsm/report/naive";
    tsm.makeFolder(entry);
    const read = (): Uint8Array => {
      const file = tsm.open(`${entry}/outblob`, "read");
      const bytes = new Uint8Array(4096);
      tsm.read(file, bytes);
      tsm.close(file);
      return bytes.slice(0x50, 0x90);
    };
    assert.throws(read, deviceError("EINVAL", "read"));
    writeDevice(tsm, `${entry}/inblob`, new Uint8Array(64).fill(1));
    assert.deepEqual(read(), new Uint8Array(64).fill(1));
    tsm.storesLost = 1;
    writeDevice(tsm, `${entry}/inblob`, new Uint8Array(64).fill(2));
    assert.deepEqual(read(), new Uint8Array(64).fill(1));
  });
});

describe("certificates of a SEV-SNP host", () => {
  const [leaf, ask, ark] = snpEvidence.certificates as Uint8Array[];

  it("come leaf first, in whatever order the host lists them", () => {
    const table = certificateTable([leaf!, ask!, ark!]);
    assert.deepEqual(certificatesOfHost(table), [leaf, ask, ark]);
    assert.deepEqual(certificatesOfHost(certificateTable([leaf!, ask!, ark!], [2, 0, 1])), [leaf, ask, ark]);
    assert.deepEqual(certificatesOfHost(certificateTable([leaf!])), [leaf]);
  });

  it("are refused where the key of the chip is missing", async () => {
    const refused = coded("evidence.failed", /expected one of VCEK or VLEK, got none/);
    for (const table of [new Uint8Array(0), new Uint8Array(24)]) {
      assert.throws(() => certificatesOfHost(table), refused);
    }
    await assert.rejects(setUp({ report: () => ({ outblob: snpEvidence.report }) }).attest(), refused);
  });

  it("are refused where the table lies about itself", () => {
    const table = certificateTable([leaf!, ask!, ark!]);
    const with32 = (at: number, value: number): Uint8Array<ArrayBuffer> => {
      const changed = table.slice();
      new DataView(changed.buffer).setUint32(at, value, true);
      return changed;
    };
    for (const broken of [with32(16, 2 ** 32 - 1), with32(20, 2 ** 32 - 1), with32(20, 0), table.slice(0, 30)]) {
      assert.throws(() => certificatesOfHost(broken), coded("evidence.failed"));
    }
    const twice = table.slice();
    twice.copyWithin(24, 0, 16);
    assert.throws(() => certificatesOfHost(twice), coded("evidence.failed", /two entries/));
  });

  it("of any bytes at all give certificates or a coded refusal", () => {
    const start = fc.constantFrom(new Uint8Array(0), certificateTable([leaf!]).slice(0, 24));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 200 }), (head, tail) => {
        try {
          certificatesOfHost(Uint8Array.of(...head, ...tail));
        } catch (error) {
          assert.ok(coded("evidence.failed")(error), String(error));
        }
      }),
      { seed: 7, numRuns: 500 },
    );
  });
});

// qflare enclave verify, as a user starts it, on real evidence.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Ending, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { quoteSample, sevSnpSample } from "../support/tee/samples.ts";

const folder = temporaryFolder();

function write(name: string, value: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const snp = sevSnpSample("milan-v2-coco");
const sgx = quoteSample("sgx/v3-with-collateral");
assert.ok(snp.evidence.tee === "sev-snp" && sgx.evidence.tee === "sgx");
const SNP = write("snp.json", {
  tee: "sev-snp",
  report: hex(snp.evidence.report),
  certificates: snp.evidence.certificates.map(base64),
});
const SGX = write("sgx.json", { tee: "sgx", quote: base64(sgx.evidence.quote) });
const COLLATERAL = write("collateral.json", sgx.collateral);
const EMPTY = write("empty.json", {});

function verify(evidence: string, policy: string, ...rest: string[]): Promise<Ending> {
  return runCli(["enclave", "verify", "--evidence", evidence, "--policy", policy, ...rest]);
}

describe("qflare enclave verify", () => {
  it("tells what genuine evidence says, and that the policy names no measurement", async () => {
    const { code, stdout, stderr } = await verify(SNP, EMPTY, "--at", "2026-11-22T00:00:00Z");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^verified: sev-snp\nmeasurement {2}a1f39304\w+ {2}\(the policy names no measurement/);
  });

  it("gives one JSON line, judged by collateral, time and policy", async () => {
    const allowed_measurements = ["33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"];
    const allowed_statuses = ["ConfigurationAndSWHardeningNeeded"];
    const policy = write("policy.json", { allowed_measurements, allowed_statuses });
    const rest = ["--collateral", COLLATERAL, "--at", "2025-07-04T10:28:44Z", "--json"];
    const { code, stdout } = await verify(SGX, policy, ...rest);
    assert.equal(code, 0);
    const { event, ok, tee, tcb_status, advisories, reasons } = JSON.parse(stdout);
    assert.deepEqual([event, ok, tee, reasons], ["evidence", true, "sgx", []]);
    assert.deepEqual([tcb_status, advisories], [allowed_statuses[0], ["INTEL-SA-00289", "INTEL-SA-00615"]]);
  });

  it("ends with 1 and every reason where evidence is refused", async () => {
    const { code, stdout, stderr } = await verify(SGX, EMPTY, "--json");
    assert.equal(code, 1);
    assert.equal(JSON.parse(stdout).ok, false);
    assert.match(stderr, /^qflare: Cannot trust enclave: .*collateral: expected that of Intel, got none; policy: /);
  });

  it("ends with 2 where files or flags are wrong, with 1 where evidence is none", async () => {
    const wrong = write("wrong.json", { allow_everything: true });
    const text = write("text.json", "{");
    const twice = write("twice.json", '{"allowed_measurements":["00"],"allowed_measurements":["a1f3"]}');
    const inner = write("inner.json", '{"minimum_tcb":{"sev-snp":{"microcode":255},"sev-snp":{"snp":1}}}');
    const evidence = write("evidence.json", '{"tee":"tdx","tee":"nitro","document":"00"}');
    const collateral = write("lists.json", '{"ark_crl":"00","ark_crl":"01"}');
    const calls: readonly (readonly [Promise<Ending>, number, RegExp])[] = [
      [verify(SNP, wrong), 2, /allow_everything: expected no such member/],
      [verify(SNP, text), 2, /--policy: .* is not JSON/],
      [verify(SNP, twice), 2, /--policy: .* is not JSON with every key once/],
      [verify(SNP, inner), 2, /--policy: .* is not JSON with every key once/],
      [verify(evidence, EMPTY), 2, /--evidence: .* is not JSON with every key once/],
      [verify(SNP, EMPTY, "--collateral", collateral), 2, /--collateral: .* is not JSON with every key once/],
      [verify(join(folder, "none.json"), EMPTY), 2, /--evidence: there is no /],
      [verify(SNP, EMPTY, "--at", "yesterday"), 2, /--at: expected a time like/],
      [verify(EMPTY, EMPTY), 1, /tee: expected sev-snp or tdx/],
    ];
    for (const [ending, expected, says] of calls) {
      const { code, stderr, stdout } = await ending;
      assert.equal(code, expected, stderr);
      assert.match(stderr, says);
      assert.equal(stdout, "");
    }
  });
});

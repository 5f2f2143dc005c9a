import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AuditEntry, auditEntry } from "../../../src/wire/audit.ts";
import { enclaveIdentity } from "../../../src/wire/enclave-identity.ts";
import { replayRun } from "../../../src/wire/log-replay.ts";

function entry(fields: Pick<AuditEntry, "type" | "digest" | "data">): AuditEntry {
  return auditEntry.decode(auditEntry.encode({ v: 1, at: 0, subject: "x", ...fields }));
}

const hashOf = (policy: number): Uint8Array<ArrayBuffer> => new Uint8Array(32).fill(policy);

function opened(policy: number): AuditEntry {
  return entry({ type: "run.opened", digest: hashOf(policy), data: new Uint8Array(0) });
}

function started(epoch: number, policy: number, tee = "simulated"): AuditEntry {
  const keys = { kem_public_key: Uint8Array.of(epoch), signature_public_key: Uint8Array.of(1) };
  const data = enclaveIdentity({ tee, epoch, ...keys, policy_hash: hashOf(policy) });
  return entry({ type: "enclave.started", digest: new Uint8Array(32), data });
}

describe("the replay of a log", () => {
  const problemsOf = (...entries: AuditEntry[]): readonly string[] => replayRun(entries, "").problems;
  const of = (index: number, epoch: number): string =>
    `entry ${index}: the enclave of epoch ${epoch} has another policy than the run's`;

  it("finds no fault in enclaves under the run's policy", () => {
    assert.deepEqual(problemsOf(started(1, 5), opened(5), started(1, 5), started(2, 5)), []);
  });

  it("finds an enclave on other hardware than the run's first", () => {
    const problem = "entry 2: the enclave is on tdx, the run's first was on simulated";
    assert.deepEqual(problemsOf(started(1, 5), opened(5), started(2, 5, "tdx")), [problem]);
  });

  it("finds an enclave under another policy, started before the run was opened or after", () => {
    assert.deepEqual(problemsOf(started(1, 6), opened(5)), [of(1, 1)]);
    assert.deepEqual(problemsOf(started(1, 5), opened(5), started(2, 6)), [of(2, 2)]);
  });
});

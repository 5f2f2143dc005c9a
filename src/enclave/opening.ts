// How a run comes into an enclave: with new keys, or from what was sealed. The host keeps the sealed state and can put
// back an older one, so it must go with the newest of the enclave's records in the log, which others have seen.

import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { sha256 } from "../crypto/hash.ts";
import { enclaveRecord } from "../wire/audit.ts";
import type { EnclaveAnswer, EnclaveRequest } from "../wire/enclave.ts";
import type { Policy } from "../wire/policy.ts";
import { AuditChain } from "./chain.ts";
import { type EnclaveKeys, type EnclaveProgress, type Epoch, generateKeys, type Vault, wipeKeys } from "./keys.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Opened {
  readonly keys: EnclaveKeys;
  readonly chain: AuditChain;
  readonly latest: EnclaveProgress["latest"];
  readonly openRound: EnclaveProgress["open_round"];
  readonly outcome: "new" | "resumed" | "replaced";
}

/** New keys. Where an enclave before has left records, the chain goes on behind them. */
export async function startRun(policy: Policy, policy_hash: Bytes, request: EnclaveRequest<"open">): Promise<Opened> {
  const { run_id, suite } = policy;
  const { newest, start, at } = request;
  const keys = await generateKeys({ run_id, policy_hash, suite, ...epochOf(start, at) });
  const chain = newest === null ? new AuditChain() : new AuditChain(behind(newest));
  return { keys, chain, latest: null, openRound: null, outcome: newest === null ? "new" : "replaced" };
}

/**
 * Throws enclave.state where the state does not open or is of two runs, enclave.rollback where it is older than the
 * newest record.
 */
export function resumeRun(
  vault: Vault,
  { keys: sealedKeys, progress: sealedProgress }: NonNullable<EnclaveRequest<"open">["resume"]>,
  newest: Bytes | null,
): Opened {
  const keys = vault.openKeys(sealedKeys);
  try {
    const progress = vault.openProgress(sealedProgress);
    if (!equal(keys.run_id, progress.run_id)) {
      throw new QflareError("enclave.state", "keys and progress are of two runs");
    }
    if (!equal(sha256(sealedKeys), progress.keys_digest)) {
      throw new QflareError("enclave.rollback", "its keys are not those that its progress names");
    }
    requireNewest(progress, newest);
    const { latest, open_round } = progress;
    return { keys, chain: new AuditChain(progress), latest, openRound: open_round, outcome: "resumed" };
  } catch (error) {
    wipeKeys(keys);
    throw error;
  }
}

function requireNewest(progress: EnclaveProgress, newest: Bytes | null): void {
  const logged = newest === null ? { audit_sequence: 0, audit_head: new Uint8Array(32) } : behind(newest);
  if (logged.audit_sequence === progress.audit_sequence && equal(logged.audit_head, progress.audit_head)) return;
  const fact = `it stands at record ${progress.audit_sequence}, the log at ${logged.audit_sequence}`;
  throw new QflareError("enclave.rollback", fact);
}

/** Where a chain stands whose last record this is. */
function behind(record: Bytes): { audit_sequence: number; audit_head: Bytes } {
  return { audit_sequence: enclaveRecord.decode(record).sequence + 1, audit_head: sha256(record) };
}

/** Valid from a little earlier on: a device whose clock is behind must not take it for an epoch of tomorrow. */
export function epochOf({ epoch, first_round, valid_ms }: EnclaveRequest<"open">["start"], atMs: number): Epoch {
  const notBeforeMs = Math.max(0, atMs - LIMITS.clockSkewMsMax);
  return { epoch, first_round, not_before: notBeforeMs, not_after: atMs + valid_ms };
}

/** What may be told of the key before. */
export function formerOf({ former }: EnclaveKeys): EnclaveAnswer<"open">["former"] {
  return former === null ? null : { kem_public_key: new Uint8Array(former.kem_public_key), round: former.round };
}

// The enclave that this device has trusted last, kept beside its key file: none that comes after it in the run, also
// after a restart of the device, may be on another kind of hardware or under another policy, of an earlier epoch, have
// another key in the same, or run a program that the audit log has not announced since.

import { equal, toHex } from "../core/bytes.ts";
import { decodeCbor } from "../core/codec.ts";
import { type ErrorCode, QflareError } from "../core/error.ts";
import { bytes, entriesOf, message, nullable, type Of, object, uint } from "../core/shape.ts";
import { type EnclaveIdentity, enclaveIdentityMessage } from "../wire/enclave-identity.ts";
import { RUN_ID_BYTES } from "../wire/policy.ts";
import { keep, readKept } from "./kept-file.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** announced_at: where the log announces the program; null for the first of a run. */
const PINNED = object({
  program: bytes(32),
  announced_at: nullable(uint()),
  identity: bytes(1, enclaveIdentityMessage.bytesMax),
});

const VERSION = 2;

/** enclave: null until one was trusted. */
const pinMessage = message("enclave pin", 768, {
  v: uint(VERSION, VERSION),
  run_id: bytes(RUN_ID_BYTES),
  enclave: nullable(PINNED),
});

type Pinned = Of<typeof PINNED>;

export interface PinPorts {
  readonly path: string;
  readonly runId: Bytes;
  /** Whether the device has seen nothing of the run's audit log yet; only then there may be no pin. */
  readonly isNew: boolean;
}

export class EnclavePin {
  readonly #path: string;
  readonly #runId: Bytes;
  /** What stands in the file. */
  #kept: Uint8Array = new Uint8Array(0);
  #pinned: Pinned | null;

  /**
   * Begins the file, so that one that is lost does not go unnoticed. Throws store.corrupt where it is gone, of another
   * run or no pin, store.version where another version of the program wrote it, store.* where the disk refuses.
   */
  constructor({ path, runId, isNew }: PinPorts) {
    this.#path = path;
    this.#runId = runId;
    const kept = readKept(path);
    if (kept !== undefined) {
      this.#kept = new Uint8Array(kept);
      this.#pinned = readPin(path, this.#kept, runId);
      return;
    }
    if (!isNew) throw unusable("store.corrupt", `${path} is gone, which names the enclave trusted last`);
    this.#pinned = null;
    this.#keep(null);
  }

  /** Returns whether its identity is another one than before. Throws evidence.refused where it may not follow. */
  take(offered: Pinned): boolean {
    const before = this.#pinned;
    const next = before === null ? offered : { ...offered, announced_at: newestAnnouncement(before, offered) };
    const isReplacement = before !== null && requireSuccessor(before, next);
    this.#keep(next);
    return isReplacement;
  }

  #keep(enclave: Pinned | null): void {
    const encoded = pinMessage.encode({ v: VERSION, run_id: this.#runId, enclave });
    if (!equal(encoded, this.#kept)) keep(this.#path, encoded);
    this.#kept = encoded;
    this.#pinned = enclave;
  }
}

function readPin(path: string, kept: Uint8Array, runId: Bytes): Pinned | null {
  let pin: Of<typeof pinMessage.shape>;
  try {
    pin = pinMessage.decode(kept);
  } catch (cause) {
    const version = versionOf(kept);
    if (version === undefined || version === VERSION) throw unusable("store.corrupt", `${path} is no pin`, cause);
    throw unusable("store.version", `${path}: expected ${VERSION}, got ${version}`, cause);
  }
  if (!equal(pin.run_id, runId)) throw unusable("store.corrupt", `${path} is of another run`);
  return pin.enclave;
}

/** undefined where the file is of no version. */
function versionOf(kept: Uint8Array): number | undefined {
  try {
    const [, version] = entriesOf(decodeCbor(kept, pinMessage.bytesMax))?.find(([name]) => name === "v") ?? [];
    return typeof version === "number" ? version : undefined;
  } catch {
    return undefined;
  }
}

function unusable(code: ErrorCode, fact: string, cause?: unknown): QflareError {
  const wayOut = "bring back the one that belongs there, or remove both it and the .log beside it to begin anew";
  return new QflareError(code, `${fact}; ${wayOut}`, { cause });
}

/**
 * A run has one policy and one kind of hardware. Epochs go forward, each has one key, and an identity ends only with
 * its epoch: an enclave that was put back to an earlier state is refused. Returns whether the identity is a new one.
 */
function requireSuccessor(before: Pinned, next: Pinned): boolean {
  const [was, is] = [identityOf(before), identityOf(next)];
  if (is.tee !== was.tee) throw new QflareError("evidence.refused", `expected an enclave on ${was.tee}, got ${is.tee}`);
  if (!equal(is.policy_hash, was.policy_hash)) {
    throw new QflareError("evidence.refused", "it has another policy than the run's enclave before");
  }
  const isSameIdentity = equal(is.signature_key_hash, was.signature_key_hash);
  const isSame = isSameIdentity && equal(is.kem_key_hash, was.kem_key_hash);
  if (is.epoch < was.epoch || (is.epoch === was.epoch && !isSame)) {
    const fact = `expected epoch ${was.epoch} as it was or a later one, got another ${is.epoch}`;
    throw new QflareError("evidence.refused", fact);
  }
  return !isSameIdentity;
}

/**
 * Where the program was announced that is to be kept. One that has run before is announced again: a server that shows
 * the run's first program without that does not take the device back behind it.
 */
function newestAnnouncement(before: Pinned, next: Pinned): number | null {
  const known = before.announced_at ?? -1;
  if (next.announced_at !== null && next.announced_at > known) return next.announced_at;
  if (equal(before.program, next.program)) return before.announced_at;
  const expected = `expected program ${toHex(before.program)} or one that the audit log has announced since`;
  throw new QflareError("evidence.refused", `${expected}, got ${toHex(next.program)}`);
}

function identityOf({ identity }: Pinned): EnclaveIdentity {
  return enclaveIdentityMessage.decode(identity);
}

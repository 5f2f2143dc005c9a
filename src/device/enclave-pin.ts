// The enclave that this device has trusted last, kept beside its key file: none that comes after it, also after a
// restart of the device, may be of an earlier epoch, have another key in the same, or run a program that the audit log
// has not announced since.

import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { bytes, message, nullable, type Of, uint } from "../core/shape.ts";
import { type EnclaveIdentity, enclaveIdentityMessage } from "../wire/enclave-identity.ts";
import { keep, readKept } from "./kept-file.ts";

/** announced_at: where the log announces the program; null for the first of a run. */
const pinMessage = message("enclave pin", 640, {
  v: uint(1, 1),
  program: bytes(32),
  announced_at: nullable(uint()),
  identity: bytes(1, enclaveIdentityMessage.bytesMax),
});

type Pin = Omit<Of<typeof pinMessage.shape>, "v">;

export class EnclavePin {
  readonly #path: string;
  #pinned: Pin | undefined;

  /** Throws message.malformed where another file stands there. */
  constructor(path: string) {
    this.#path = path;
    const kept = readKept(path);
    if (kept !== undefined) this.#pinned = pinMessage.decode(new Uint8Array(kept));
  }

  /** Returns whether its identity is another one than before. Throws evidence.refused where it may not follow. */
  take(offered: Pin): boolean {
    const before = this.#pinned;
    const next = before === undefined ? offered : { ...offered, announced_at: newestAnnouncement(before, offered) };
    const isReplacement = before !== undefined && requireSuccessor(before, next);
    keep(this.#path, pinMessage.encode({ v: 1, ...next }));
    this.#pinned = next;
    return isReplacement;
  }
}

/**
 * Epochs go forward, each has one key, and an identity ends only with its epoch: an enclave that was put back to an
 * earlier state is refused. Returns whether the identity is a new one.
 */
function requireSuccessor(before: Pin, next: Pin): boolean {
  const [was, is] = [identityOf(before), identityOf(next)];
  const isSameIdentity = equal(is.signature_key_hash, was.signature_key_hash);
  const isSame = isSameIdentity && equal(is.kem_key_hash, was.kem_key_hash);
  if (is.epoch < was.epoch || (is.epoch === was.epoch && !isSame)) {
    const fact = `expected epoch ${was.epoch} as it was or a later one, got another ${is.epoch}`;
    throw new QflareError("evidence.refused", fact);
  }
  return !isSameIdentity;
}

/**
 * Where the program was announced that is to be kept. One that has run before is announced again: a server that leaves
 * an announcement out does not take the device back behind it.
 */
function newestAnnouncement(before: Pin, next: Pin): number | null {
  const known = before.announced_at ?? -1;
  if (next.announced_at !== null && next.announced_at > known) return next.announced_at;
  if (equal(before.program, next.program)) return before.announced_at;
  const expected = `expected program ${toHex(before.program)} or one that the audit log has announced since`;
  throw new QflareError("evidence.refused", `${expected}, got ${toHex(next.program)}`);
}

function identityOf({ identity }: Pin): EnclaveIdentity {
  return enclaveIdentityMessage.decode(identity);
}

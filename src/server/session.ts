// A session as the server holds it, and the ticket that its resumption takes.

import { takeOver, wipe } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { SuiteName } from "../crypto/suite.ts";
import { type SessionKeys, wipeSession } from "../wire/handshake.ts";
import { SequenceWindow } from "../wire/record.ts";
import type { Device } from "./registry.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a handshake, full or resumed, has settled. */
export interface Settled {
  readonly id: Bytes;
  readonly device: Device;
  readonly suite: SuiteName;
  readonly keys: SessionKeys;
  /** What the first protected requests must carry. */
  readonly confirmation: Bytes;
  readonly openedAtMs: number;
  /** End of these keys. */
  readonly expiresAtMs: number;
  /** When a full handshake is due; resumptions hand it on. */
  readonly fullUntilMs: number;
  /** The session that this one goes on for: it ends when this one is confirmed. */
  readonly predecessor?: Bytes;
}

export class Session {
  readonly id: Bytes;
  readonly device: Device;
  readonly suite: SuiteName;
  readonly keys: SessionKeys;
  readonly confirmation: Bytes;
  readonly openedAtMs: number;
  readonly expiresAtMs: number;
  readonly fullUntilMs: number;
  readonly predecessor: Bytes | undefined;
  readonly window: SequenceWindow = new SequenceWindow();
  readonly #ended = new AbortController();
  isLive = false;
  lastUsedMs: number;
  /** Of the next answer. */
  nextSequence = 0;
  /** Bytes of records, both ways. */
  recordBytes = 0;

  constructor(settled: Settled) {
    this.id = settled.id;
    this.device = settled.device;
    this.suite = settled.suite;
    this.keys = settled.keys;
    this.confirmation = settled.confirmation;
    this.openedAtMs = settled.openedAtMs;
    this.expiresAtMs = settled.expiresAtMs;
    this.fullUntilMs = settled.fullUntilMs;
    this.predecessor = settled.predecessor;
    this.lastUsedMs = settled.openedAtMs;
  }

  /** Its keys are wiped. A request may still be on its way, for as long as a long poll lasts. */
  get isClosed(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Aborts when the session ends, so that nobody goes on waiting in it. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Its keys have sealed as much as they may. */
  get isSpent(): boolean {
    return this.recordBytes >= LIMITS.sessionBytesMax || this.nextSequence >= LIMITS.sessionRecordsMax;
  }

  isStale(nowMs: number): boolean {
    const idleMsMax = this.isLive ? LIMITS.sessionIdleMsMax : LIMITS.sessionUnconfirmedMsMax;
    return nowMs >= this.expiresAtMs || nowMs - this.lastUsedMs >= idleMsMax;
  }

  end(): void {
    if (this.isClosed) return;
    // With a reason, since without one an error with a stack is made each time.
    this.#ended.abort("ended");
    wipeSession(this.keys);
    wipe(this.confirmation);
  }
}

/** What the server keeps of a confirmed session, so that its device can go on in another. */
export interface Ticket {
  readonly id: Bytes;
  readonly device: Device;
  readonly suite: SuiteName;
  /** Wiped when the ticket is used or dropped. */
  readonly resumption: Bytes;
  readonly fullUntilMs: number;
}

/** The session's own copy is wiped: a ticket that was used must leave none behind. */
export function ticketOf({ id, device, suite, keys, fullUntilMs }: Session): Ticket {
  return { id, device, suite, resumption: takeOver(keys.resumption), fullUntilMs };
}

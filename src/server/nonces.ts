// Nonces of accepted first messages, kept for as long as their timestamps would be taken. They are forgotten with the
// process: what was written before it started is refused, so that nothing from before can come again.

import { toHex } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";

export class Nonces {
  readonly #startedAtMs: number;
  /** Until when each must be known; insertion order is that order too. */
  readonly #seen = new Map<string, number>();

  constructor(startedAtMs: number) {
    this.#startedAtMs = startedAtMs;
  }

  mayTake(nonce: Uint8Array, timestampMs: number, nowMs: number): boolean {
    const isTimely = Math.abs(timestampMs - nowMs) <= LIMITS.clockSkewMsMax && timestampMs >= this.#startedAtMs;
    return isTimely && !this.#seen.has(toHex(nonce));
  }

  /** Asked again once the signature is known to hold: a forged message must not use up a nonce. */
  take(nonce: Uint8Array, timestampMs: number, nowMs: number): boolean {
    if (!this.mayTake(nonce, timestampMs, nowMs)) return false;
    // Older ones fail by their timestamp; one of exactly that age does not yet.
    for (const [old, untilMs] of this.#seen) {
      if (untilMs >= nowMs) break;
      this.#seen.delete(old);
    }
    this.#seen.set(toHex(nonce), nowMs + LIMITS.helloNonceMsMax);
    return true;
  }
}

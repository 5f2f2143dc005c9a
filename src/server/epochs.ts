// When the enclave gets a new key: between two rounds after so many of them or so much time, or where its program is
// another one than made the key, so that every device checks that; and in the middle of one only where evidence about
// the key in force would not hold any longer. The enclave keeps the key before for the round that is open, so no round
// is lost.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock } from "../core/ports.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { RunState } from "./run-state.ts";

export interface EpochSettings {
  /** Rounds that begin in one epoch. */
  readonly rounds: number;
  readonly timeMs: number;
}

export const DEFAULT_EPOCHS: EpochSettings = { rounds: 1000, timeMs: 24 * 3_600_000 };

/** A round that begins at the end of an epoch, and after a restart is given half its time again, ends within it. */
export function epochGraceMs(roundDeadlineMs: number): number {
  return 2 * roundDeadlineMs + LIMITS.clockSkewMsMax;
}

export class Epochs {
  readonly #enclave: EnclaveLink;
  readonly #state: RunState;
  readonly #clock: Clock;
  readonly #roundsMax: number;
  readonly #graceMs: number;
  /** One change at a time. */
  #turn: Promise<void> = Promise.resolve();

  constructor(ports: { enclave: EnclaveLink; state: RunState; clock: Clock }, rounds: number, graceMs: number) {
    this.#enclave = ports.enclave;
    this.#state = ports.state;
    this.#clock = ports.clock;
    this.#roundsMax = rounds;
    this.#graceMs = graceMs;
  }

  /** Starts the enclave where needed, and the next epoch where it is time. Throws enclave.unavailable. */
  async beforeRound(round: number): Promise<void> {
    const isDue = (): boolean => {
      const { firstRound, notAfterMs, started } = this.#enclave.facts;
      if (!started.hasOwnKey) return true;
      return round - firstRound >= this.#roundsMax || this.#clock.nowMs() >= notAfterMs - this.#graceMs;
    };
    await this.#renew(round, isDue, async () => undefined);
  }

  /**
   * Evidence that a device would refuse is not given out, also to one whose clock is ahead. The key stays while it is
   * made: evidence and log must name the same one.
   */
  async forEvidence<T>(make: () => Promise<T>): Promise<T> {
    const openRound = this.#state.current?.round ?? 0;
    const isDue = (): boolean => {
      const { notAfterMs, former } = this.#enclave.facts;
      if (this.#clock.nowMs() < notAfterMs - LIMITS.clockSkewMsMax) return false;
      if (former?.round !== openRound) return true;
      throw new QflareError("enclave.unavailable", "its key is renewed when the round is over");
    };
    return await this.#renew(openRound + 1, isDue, make);
  }

  async #renew<T>(firstRound: number, isDue: () => boolean, then: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const { generation } = this.#enclave;
      await this.#enclave.ready();
      // The coordinator has to tell a new process all about the round, or to end what its key is lost for.
      if (this.#enclave.generation !== generation) this.#state.forLoop.notify();
      if (isDue()) await this.#enclave.rotate(firstRound);
      return await then();
    });
    this.#turn = turn.then(
      () => undefined,
      () => undefined,
    );
    return await turn;
  }
}

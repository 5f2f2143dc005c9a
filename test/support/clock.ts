// Time and randomness that a test controls.

import { createHash } from "node:crypto";
import type { Clock, Log, Random } from "../../src/core/ports.ts";

export class FakeClock implements Clock {
  #nowMs: number;

  constructor(nowMs = 1_750_000_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

/** The same bytes for the same seed; never the same twice. */
export function seededRandom(seed: string): Random {
  let calls = 0;
  return {
    bytes: (length) =>
      new Uint8Array(createHash("shake256", { outputLength: length }).update(`${seed} ${calls++}`).digest()),
  };
}

const ignore = (): void => undefined;

export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** For parts that have no errors to report in a test. */
export const strictLog: Log = {
  ...silentLog,
  error: (fields, text) => {
    throw new Error(`${text}: ${JSON.stringify(fields)}`);
  },
};

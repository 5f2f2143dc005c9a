// The mean of any number of updates, one at a time: what a round too large for memory can still do. No rule that
// compares updates can work so.

import { QflareError } from "../core/error.ts";
import { floatsFromBytes } from "../core/floats.ts";
import { LIMITS } from "../core/limits.ts";
import type { Reason } from "./rule.ts";

export interface StreamingOptions {
  /** Largest norm that is taken. */
  readonly normMax?: number;
}

/** Bytes of an update as on the wire, each piece of whole floats. Called twice: both times the same bytes. */
export type Pieces = () => Iterable<Uint8Array>;

/** norm: null where it was not measured. reason: why the update was not taken, null where it was. */
export interface Taken {
  readonly norm: number | null;
  readonly reason: Reason | null;
}

/** Keeps one float64 for each value of the model, and no update. */
export class StreamingMean {
  readonly #sum: Float64Array<ArrayBuffer>;
  readonly #normMax: number;
  #weight = 0;
  #count = 0;
  #isFinished = false;

  constructor(length: number, { normMax = Number.MAX_VALUE }: StreamingOptions = {}) {
    if (!Number.isSafeInteger(length) || length < 1 || length > LIMITS.parametersMax) {
      throw new RangeError(`Cannot add up: expected 1 to ${LIMITS.parametersMax} values, got ${length}`);
    }
    if (!(normMax >= 0)) throw new RangeError(`Cannot add up: expected a largest norm of at least 0, got ${normMax}`);
    this.#sum = new Float64Array(length);
    this.#normMax = normMax;
  }

  /** Where there is a reason, nothing has changed. weight: finite, not negative. */
  add(pieces: Pieces, weight = 1): Taken {
    if (this.#isFinished) throw new TypeError("Cannot add up: the mean is finished");
    if (!(Number.isFinite(weight) && weight >= 0 && Number.isFinite(this.#weight + weight))) {
      throw new QflareError("aggregation.input", `expected a finite weight that is not negative, got ${weight}`);
    }
    const taken = this.#measure(pieces);
    if (taken.reason !== null) return taken;
    let at = 0;
    for (const piece of pieces()) at += addScaled(this.#sum, at, floatsFromBytes(piece), weight);
    this.#weight += weight;
    this.#count += 1;
    return taken;
  }

  /** Once: the delta takes the place of the sum. Throws aggregation.precondition where the weights add up to 0. */
  finish(): { delta: Float32Array<ArrayBuffer>; count: number } {
    if (this.#isFinished) throw new TypeError("Cannot add up: the mean is finished");
    if (this.#weight === 0) {
      throw new QflareError("aggregation.precondition", "expected a weight above 0 among the updates that were taken");
    }
    this.#isFinished = true;
    const delta = new Float32Array(this.#sum.buffer, 0, this.#sum.length); // value i overwrites sums up to i / 2
    for (let i = 0; i < delta.length; i++) delta[i] = this.#sum[i] / this.#weight;
    return { delta, count: this.#count };
  }

  /** Overwrites the sum, which is a single update after the first one. Nothing can be done with it then. */
  wipe(): void {
    this.#isFinished = true;
    this.#sum.fill(0);
  }

  #measure(pieces: Pieces): Taken {
    let length = 0;
    let squares = 0;
    for (const piece of pieces()) {
      length += piece.length / 4;
      if (piece.length % 4 !== 0 || length > this.#sum.length) return { norm: null, reason: "update.length" };
      squares += sumOfSquares(floatsFromBytes(piece));
    }
    if (length !== this.#sum.length) return { norm: null, reason: "update.length" };
    if (!Number.isFinite(squares)) return { norm: null, reason: "update.not_finite" };
    const norm = Math.sqrt(squares);
    return { norm, reason: norm > this.#normMax ? "update.norm" : null };
  }
}

function addScaled(sum: Float64Array, at: number, values: Float32Array, weight: number): number {
  for (let i = 0; i < values.length; i++) sum[at + i] += weight * values[i];
  return values.length;
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}

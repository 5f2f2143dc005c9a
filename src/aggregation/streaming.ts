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
    this.#sum = new Float64Array(length);
    this.#normMax = normMax;
  }

  /** Why the update was not taken, and nothing has changed; undefined where it was. weight: finite, not negative. */
  add(pieces: Pieces, weight = 1): Reason | undefined {
    if (this.#isFinished) throw new TypeError("Cannot add up: the mean is finished");
    if (!(Number.isFinite(weight) && weight >= 0 && Number.isFinite(this.#weight + weight))) {
      throw new QflareError("aggregation.input", `expected a finite weight that is not negative, got ${weight}`);
    }
    const reason = this.#problemOf(pieces);
    if (reason !== undefined) return reason;
    let at = 0;
    for (const piece of pieces()) at += addScaled(this.#sum, at, floatsFromBytes(piece), weight);
    this.#weight += weight;
    this.#count += 1;
    return undefined;
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

  #problemOf(pieces: Pieces): Reason | undefined {
    let length = 0;
    let squares = 0;
    for (const piece of pieces()) {
      const values = floatsFromBytes(piece);
      length += values.length;
      if (length > this.#sum.length) return "update.length";
      squares += sumOfSquares(values);
    }
    if (length !== this.#sum.length) return "update.length";
    if (!Number.isFinite(squares)) return "update.not_finite";
    return Math.sqrt(squares) > this.#normMax ? "update.norm" : undefined;
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

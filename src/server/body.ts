// Reads a streamed body: a few bytes from its front, then the rest as it comes.

import { concat } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";

export class BodyReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  /** Throws message.length_mismatch where the body ends before. */
  async take(length: number): Promise<Uint8Array> {
    while (this.#held.length < length) {
      const next = await this.#next();
      if (next === undefined) throw new QflareError("message.length_mismatch", `the body ends before ${length} bytes`);
      this.#held = this.#held.length === 0 ? next : concat(this.#held, next);
    }
    const out = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return out;
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    if (this.#held.length > 0) yield this.#held;
    this.#held = new Uint8Array(0);
    for (let next = await this.#next(); next !== undefined; next = await this.#next()) yield next;
  }

  async drain(): Promise<void> {
    for await (const _ of this.rest());
  }

  /** A connection that breaks in the middle is a body that is too short. */
  async #next(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#pieces.next();
      return done ? undefined : value;
    } catch (cause) {
      throw new QflareError("message.length_mismatch", "the connection broke off", { cause });
    }
  }
}

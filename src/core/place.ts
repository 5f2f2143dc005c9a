// Memory for large things of which only the newest is needed. Left to the collector, those before it would lie about
// for a while, by the tens of megabytes.

export class Place {
  #bytes = new Uint8Array(0);

  /** So many bytes, at the start of those that were given before where they suffice. What is in them is left there. */
  of(length: number): Uint8Array<ArrayBuffer> {
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    return this.#bytes.subarray(0, length);
  }
}

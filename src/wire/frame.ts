// Frames between a server and its enclave, over any byte stream: u32 length of what follows | u8 kind | payload.
// A message may announce a blob; its bytes follow in pieces, so that no frame grows with the model.

import { concat, readU32be, u32be } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";

export const FRAME_MESSAGE = 0;
export const FRAME_PIECE = 1;
const HEADER_BYTES = 5;
const PIECE_BYTES = 2 ** 20;

export interface Frame {
  readonly kind: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** The frames of one message and its blob, in order. */
export function* framesOf(message: Uint8Array, blob: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  yield frame(FRAME_MESSAGE, message);
  for (let offset = 0; offset < blob.length; offset += PIECE_BYTES) {
    yield frame(FRAME_PIECE, blob.subarray(offset, offset + PIECE_BYTES));
  }
}

function frame(kind: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(u32be(payload.length + 1), Uint8Array.of(kind), payload);
}

/**
 * Cuts a byte stream into frames. Throws message.too_large for a frame over the limit: the stream is then of no use.
 */
export class FrameReader {
  #buffered: Uint8Array[] = [];
  #length = 0;

  push(chunk: Uint8Array): void {
    this.#buffered.push(chunk);
    this.#length += chunk.length;
  }

  next(): Frame | undefined {
    if (this.#length < HEADER_BYTES) return undefined;
    const header = this.#peek(HEADER_BYTES);
    const length = readU32be(header);
    if (length < 1 || length > LIMITS.frameBytesMax) {
      throw new QflareError(
        "message.too_large",
        `expected a frame of at most ${LIMITS.frameBytesMax} bytes, got ${length}`,
      );
    }
    if (this.#length < 4 + length) return undefined;
    const whole = this.#take(4 + length);
    return { kind: whole[4]!, payload: whole.subarray(HEADER_BYTES) };
  }

  #peek(length: number): Uint8Array {
    if (this.#buffered[0]!.length < length) this.#buffered = [concat(...this.#buffered)];
    return this.#buffered[0]!.subarray(0, length);
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const first = this.#buffered[0]!;
      const part = first.subarray(0, length - filled);
      out.set(part, filled);
      filled += part.length;
      if (part.length === first.length) this.#buffered.shift();
      else this.#buffered[0] = first.subarray(part.length);
    }
    this.#length -= length;
    return out;
  }
}

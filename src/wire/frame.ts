// Frames between a server and its enclave, over any byte stream: u32 length of what follows | u8 kind | payload.
// A message may announce a blob; its bytes follow in pieces, so that no frame grows with the model.

import { concat, readU32be, u32be } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const FRAME_MESSAGE = 0;
export const FRAME_PIECE = 1;
const HEADER_BYTES = 5;
const PIECE_BYTES = 2 ** 20;

/** The frames of one message and its blob, in order, as parts of a stream: those of the blob are views of it. */
export function* framesOf(message: Uint8Array, blob: Uint8Array): Generator<Uint8Array> {
  yield concat(header(FRAME_MESSAGE, message.length), message);
  for (let offset = 0; offset < blob.length; offset += PIECE_BYTES) {
    const piece = blob.subarray(offset, offset + PIECE_BYTES);
    yield header(FRAME_PIECE, piece.length);
    yield piece;
  }
}

function header(kind: number, payloadLength: number): Bytes {
  return concat(u32be(payloadLength + 1), Uint8Array.of(kind));
}

/** What announces a blob, of no bytes where there is none. */
interface Announcing {
  readonly blob_length: number;
}

interface Framed<T> {
  readonly message: T;
  readonly blob: Bytes;
}

/** Puts the messages of a byte stream together, each with its blob. After an error the stream is of no use. */
export class FrameReader<T extends Announcing> {
  readonly #decode: (payload: Bytes) => T;
  readonly #room: (message: T) => Bytes;
  readonly #header = new Uint8Array(HEADER_BYTES);
  /** Where the next bytes of the stream go: to the header, or to the payload that it announced. */
  #place: Bytes = this.#header;
  #filled = 0;
  /** A message whose blob is not whole. */
  #open: Framed<T> | undefined;
  #blobFilled = 0;

  /** room: blob_length bytes for a message's blob; new ones where absent. */
  constructor(
    decode: (payload: Bytes) => T,
    room: (message: T) => Bytes = ({ blob_length }) => new Uint8Array(blob_length),
  ) {
    this.#decode = decode;
    this.#room = room;
  }

  /**
   * The messages that the chunk makes whole; nothing of the chunk itself is kept. Throws message.too_large for a frame
   * over the limit, message.malformed for one out of order, message.length_mismatch for a piece that its blob does not
   * hold.
   */
  *read(chunk: Uint8Array): Generator<Framed<T>> {
    for (let offset = 0; offset < chunk.length; ) {
      const part = chunk.subarray(offset, offset + this.#place.length - this.#filled);
      this.#place.set(part, this.#filled);
      this.#filled += part.length;
      offset += part.length;
      if (this.#filled < this.#place.length) return;
      if (this.#place === this.#header) this.#startPayload();
      if (this.#filled < this.#place.length) continue;
      const whole = this.#endPayload();
      if (whole !== undefined) yield whole;
    }
  }

  #startPayload(): void {
    const [length, kind] = [readU32be(this.#header), this.#header[HEADER_BYTES - 1]];
    if (length < 1 || length > LIMITS.frameBytesMax) {
      throw new QflareError(
        "message.too_large",
        `expected a frame of at most ${LIMITS.frameBytesMax} bytes, got ${length}`,
      );
    }
    const expected = this.#open === undefined ? FRAME_MESSAGE : FRAME_PIECE;
    if (kind !== expected) {
      throw new QflareError("message.malformed", `expected a frame of kind ${expected}, got ${kind}`);
    }
    this.#place = this.#open === undefined ? new Uint8Array(length - 1) : this.#placeIn(this.#open.blob, length - 1);
    this.#filled = 0;
  }

  /** Pieces go to their place as they come: a blob is never beside its own pieces in memory. */
  #placeIn(blob: Bytes, length: number): Bytes {
    if (length > blob.length - this.#blobFilled) throw new QflareError("message.length_mismatch");
    return blob.subarray(this.#blobFilled, this.#blobFilled + length);
  }

  /** undefined while more of the blob is to come. */
  #endPayload(): Framed<T> | undefined {
    if (this.#open === undefined) {
      const message = this.#decode(this.#place);
      this.#open = { message, blob: this.#room(message) };
      this.#blobFilled = 0;
    } else {
      this.#blobFilled += this.#place.length;
    }
    this.#place = this.#header;
    this.#filled = 0;
    const open = this.#open;
    if (this.#blobFilled < open.blob.length) return undefined;
    this.#open = undefined;
    return open;
  }
}

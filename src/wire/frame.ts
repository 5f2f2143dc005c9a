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

/** The frames of one message and its blob, in order. */
export function* framesOf(message: Uint8Array, blob: Uint8Array): Generator<Bytes> {
  yield frame(FRAME_MESSAGE, message);
  for (let offset = 0; offset < blob.length; offset += PIECE_BYTES) {
    yield frame(FRAME_PIECE, blob.subarray(offset, offset + PIECE_BYTES));
  }
}

function frame(kind: number, payload: Uint8Array): Bytes {
  return concat(u32be(payload.length + 1), Uint8Array.of(kind), payload);
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
  #chunks: Uint8Array[] = [];
  /** Bytes in the chunks. */
  #length = 0;
  /** A message whose blob is not whole. */
  #open: (Framed<T> & { filled: number }) | undefined;
  /** Bytes to come of the piece that has begun. */
  #pieceLength = 0;

  /** room: blob_length bytes for a message's blob; new ones where absent. */
  constructor(
    decode: (payload: Bytes) => T,
    room: (message: T) => Bytes = ({ blob_length }) => new Uint8Array(blob_length),
  ) {
    this.#decode = decode;
    this.#room = room;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /**
   * undefined until the next message and its blob are whole. Throws message.too_large for a frame over the limit,
   * message.malformed for one out of order, message.length_mismatch for a piece that its blob does not hold.
   */
  next(): Framed<T> | undefined {
    this.#open ??= this.#takeMessage();
    if (this.#open === undefined || !this.#fill(this.#open)) return undefined;
    const { message, blob } = this.#open;
    this.#open = undefined;
    return { message, blob };
  }

  #takeMessage(): (Framed<T> & { filled: number }) | undefined {
    const length = this.#payloadLength(FRAME_MESSAGE);
    if (length === undefined || this.#length < HEADER_BYTES + length) return undefined;
    this.#take(new Uint8Array(HEADER_BYTES));
    const payload = new Uint8Array(length);
    this.#take(payload);
    const message = this.#decode(payload);
    return { message, blob: this.#room(message), filled: 0 };
  }

  /** Pieces go to their place as they come: a blob is never beside its own pieces in memory. */
  #fill(open: { readonly blob: Bytes; filled: number }): boolean {
    while (open.filled < open.blob.length) {
      if (this.#pieceLength === 0) {
        const length = this.#payloadLength(FRAME_PIECE);
        if (length === undefined) return false;
        if (length > open.blob.length - open.filled) throw new QflareError("message.length_mismatch");
        this.#take(new Uint8Array(HEADER_BYTES));
        this.#pieceLength = length;
      }
      const here = Math.min(this.#pieceLength, this.#length);
      if (here === 0 && this.#pieceLength > 0) return false;
      this.#take(open.blob.subarray(open.filled, open.filled + here));
      open.filled += here;
      this.#pieceLength -= here;
    }
    return true;
  }

  /** Of the frame that begins here. undefined until its header is whole. */
  #payloadLength(kind: number): number | undefined {
    if (this.#length < HEADER_BYTES) return undefined;
    if (this.#chunks[0]!.length < HEADER_BYTES) this.#chunks = [concat(...this.#chunks)];
    const header = this.#chunks[0]!;
    const length = readU32be(header);
    if (length < 1 || length > LIMITS.frameBytesMax) {
      throw new QflareError(
        "message.too_large",
        `expected a frame of at most ${LIMITS.frameBytesMax} bytes, got ${length}`,
      );
    }
    if (header[HEADER_BYTES - 1] !== kind) {
      throw new QflareError("message.malformed", `expected a frame of kind ${kind}, got ${header[HEADER_BYTES - 1]}`);
    }
    return length - 1;
  }

  /** As many bytes of the stream as the place holds: there are as many. */
  #take(place: Uint8Array): void {
    let filled = 0;
    while (filled < place.length) {
      const first = this.#chunks[0]!;
      const part = first.subarray(0, place.length - filled);
      place.set(part, filled);
      filled += part.length;
      if (part.length === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(part.length);
    }
    this.#length -= place.length;
  }
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, u32be } from "../../../src/core/bytes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { FRAME_MESSAGE, FRAME_PIECE, FrameReader, framesOf } from "../../../src/wire/frame.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const MIB = 2 ** 20;
const NOTHING = new Uint8Array(0);

interface Sent {
  readonly text: string;
  readonly blob_length: number;
}

/** Messages here: how long the blob is, and what the rest says. */
function encode(text: string, blobLength: number): Uint8Array {
  return concat(Uint8Array.of(blobLength), Buffer.from(text));
}

function decode(payload: Uint8Array): Sent {
  return { blob_length: payload[0]!, text: Buffer.from(payload.subarray(1)).toString() };
}

function frame(kind: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(u32be(payload.length + 1), Uint8Array.of(kind), payload);
}

function read(reader: FrameReader<Sent>, ...chunks: Uint8Array[]): string[] {
  const framed = chunks.flatMap((chunk) => [...reader.read(chunk)]);
  return framed.map(({ message, blob }) => `${message.text} ${hex(blob)}`);
}

describe("frames", () => {
  it("carry a message and its blob in pieces of 1 MiB", () => {
    const blob = Buffer.alloc(2 * MIB + 3, 5);
    const stream = concat(...framesOf(Buffer.from("message"), blob));
    const pieces = [MIB, MIB, 3].map((length) => frame(FRAME_PIECE, Buffer.alloc(length, 5)));
    assert.ok(Buffer.from(concat(frame(FRAME_MESSAGE, Buffer.from("message")), ...pieces)).equals(stream));
    const reader = new FrameReader((payload) => ({ payload, blob_length: blob.length }));
    const [framed, ...more] = [...reader.read(stream)];
    assert.deepEqual([Buffer.from(framed!.message.payload).toString(), more.length], ["message", 0]);
    assert.ok(blob.equals(framed!.blob));
  });

  it("come out the same, however the blobs and the stream are cut", () => {
    const sent = fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.array(fc.uint8Array({ maxLength: 12 }))), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(sent, fc.array(fc.nat(200), { maxLength: 30 }), (messages, cuts) => {
        const whole = messages.filter(([, pieces]) => concat(...pieces).length < 256);
        const stream = concat(
          ...whole.flatMap(([text, pieces]) => [
            frame(FRAME_MESSAGE, encode(text, concat(...pieces).length)),
            // The blob is whole before: another piece, also an empty one, would be out of place.
            ...pieces.filter(({ length }) => length > 0).map((piece) => frame(FRAME_PIECE, piece)),
          ]),
        );
        const reader = new FrameReader(decode);
        const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
        const chunks = edges.slice(1).map((edge, i) => stream.subarray(edges[i], edge));
        assert.deepEqual(
          read(reader, ...chunks),
          whole.map(([text, pieces]) => `${Buffer.from(text).toString()} ${hex(concat(...pieces))}`),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("are waited for until they are whole, also byte by byte", () => {
    const reader = new FrameReader(decode);
    const stream = concat(...framesOf(encode("abc", 2), Uint8Array.of(7, 8)));
    const last = stream.length - 1;
    for (let i = 0; i < last; i++) assert.deepEqual(read(reader, stream.subarray(i, i + 1)), [], `byte ${i}`);
    assert.deepEqual(read(reader, stream.subarray(last)), ["abc 0708"]);
  });

  it("may be empty pieces, which add nothing", () => {
    const reader = new FrameReader(decode);
    const pieces = [NOTHING, Uint8Array.of(1), NOTHING, Uint8Array.of(2)].map((piece) => frame(FRAME_PIECE, piece));
    assert.deepEqual(read(reader, frame(FRAME_MESSAGE, encode("a", 2)), ...pieces), ["a 0102"]);
  });

  it("of no length or over the limit are refused by their head alone", () => {
    for (const length of [0, LIMITS.frameBytesMax + 1, 2 ** 31, 2 ** 32 - 1]) {
      const head = concat(u32be(length), Uint8Array.of(FRAME_MESSAGE));
      assert.throws(() => read(new FrameReader(decode), head), coded("message.too_large"), `${length}`);
    }
    const head = concat(u32be(LIMITS.frameBytesMax), Uint8Array.of(FRAME_MESSAGE));
    assert.deepEqual(read(new FrameReader(decode), head), []);
  });

  it("are refused out of order, and where the blob does not hold them", () => {
    const announced = frame(FRAME_MESSAGE, encode("a", 2));
    const refused: [Uint8Array, "message.malformed" | "message.length_mismatch"][] = [
      [frame(FRAME_PIECE, NOTHING), "message.malformed"],
      [frame(9, NOTHING), "message.malformed"],
      [concat(announced, announced), "message.malformed"],
      [concat(announced, frame(FRAME_PIECE, new Uint8Array(3))), "message.length_mismatch"],
    ];
    for (const [stream, code] of refused) {
      assert.throws(() => read(new FrameReader(decode), stream), coded(code), hex(stream));
    }
  });

  it("are read to the place that is given, and leave the stream's own buffer", () => {
    const place = new Uint8Array(4);
    const reader = new FrameReader(decode, ({ blob_length }) => place.subarray(0, blob_length));
    const stream = concat(...framesOf(encode("a", 2), Uint8Array.of(1, 2)));
    const [framed] = [...reader.read(stream)];
    stream.fill(0);
    assert.deepEqual([framed!.message.text, hex(framed!.blob), hex(place)], ["a", "0102", "01020000"]);
    assert.equal(framed!.blob.buffer, place.buffer);
  });
});

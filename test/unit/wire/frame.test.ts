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

function readAll(reader: FrameReader<Sent>): string[] {
  const read: string[] = [];
  for (let one = reader.next(); one !== undefined; one = reader.next())
    read.push(`${one.message.text} ${hex(one.blob)}`);
  return read;
}

describe("frames", () => {
  it("carry a message and its blob in pieces of 1 MiB", () => {
    const blob = Buffer.alloc(2 * MIB + 3, 5);
    const stream = concat(...framesOf(Buffer.from("message"), blob));
    const pieces = [MIB, MIB, 3].map((length) => frame(FRAME_PIECE, Buffer.alloc(length, 5)));
    assert.ok(Buffer.from(concat(frame(FRAME_MESSAGE, Buffer.from("message")), ...pieces)).equals(stream));
    const reader = new FrameReader((payload) => ({ payload, blob_length: blob.length }));
    reader.push(stream);
    const read = reader.next();
    assert.equal(Buffer.from(read!.message.payload).toString(), "message");
    assert.ok(blob.equals(read!.blob));
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
        const read: string[] = [];
        const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
        for (let i = 1; i < edges.length; i++) {
          reader.push(stream.subarray(edges[i - 1], edges[i]));
          read.push(...readAll(reader));
        }
        assert.deepEqual(
          read,
          whole.map(([text, pieces]) => `${Buffer.from(text).toString()} ${hex(concat(...pieces))}`),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("are waited for until they are whole, also byte by byte", () => {
    const reader = new FrameReader(decode);
    const stream = concat(...framesOf(encode("abc", 2), Uint8Array.of(7, 8)));
    for (const [i, byte] of stream.entries()) {
      assert.equal(reader.next(), undefined, `before byte ${i}`);
      reader.push(Uint8Array.of(byte));
    }
    assert.deepEqual(readAll(reader), ["abc 0708"]);
  });

  it("may be empty pieces, which add nothing", () => {
    const reader = new FrameReader(decode);
    reader.push(frame(FRAME_MESSAGE, encode("a", 2)));
    for (const piece of [NOTHING, Uint8Array.of(1), NOTHING, Uint8Array.of(2)]) reader.push(frame(FRAME_PIECE, piece));
    assert.deepEqual(readAll(reader), ["a 0102"]);
  });

  it("of no length or over the limit are refused by their head alone", () => {
    for (const length of [0, LIMITS.frameBytesMax + 1, 2 ** 31, 2 ** 32 - 1]) {
      const reader = new FrameReader(decode);
      reader.push(concat(u32be(length), Uint8Array.of(FRAME_MESSAGE)));
      assert.throws(() => reader.next(), coded("message.too_large"), `${length}`);
    }
    const reader = new FrameReader(decode);
    reader.push(concat(u32be(LIMITS.frameBytesMax), Uint8Array.of(FRAME_MESSAGE)));
    assert.equal(reader.next(), undefined);
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
      const reader = new FrameReader(decode);
      reader.push(stream);
      assert.throws(() => reader.next(), coded(code), hex(stream));
    }
  });

  it("are read to the place that is given, and leave the stream's own buffer", () => {
    const place = new Uint8Array(4);
    const reader = new FrameReader(decode, ({ blob_length }) => place.subarray(0, blob_length));
    const stream = concat(...framesOf(encode("a", 2), Uint8Array.of(1, 2)));
    reader.push(stream);
    const first = reader.next()!;
    stream.fill(0);
    assert.deepEqual([first.message.text, hex(first.blob), hex(place)], ["a", "0102", "01020000"]);
    assert.equal(first.blob.buffer, place.buffer);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, u32be } from "../../../src/core/bytes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { FRAME_MESSAGE, FRAME_PIECE, type Frame, FrameReader, framesOf } from "../../../src/wire/frame.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const MIB = 2 ** 20;

function readAll(reader: FrameReader): Frame[] {
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
}

function shown(frames: readonly Frame[]): string[] {
  return frames.map(({ kind, payload }) => `${kind} ${hex(payload)}`);
}

describe("frames", () => {
  it("carry a message and its blob in pieces of 1 MiB", () => {
    const blob = Buffer.alloc(2 * MIB + 3, 5);
    const reader = new FrameReader();
    for (const frame of framesOf(Buffer.from("message"), blob)) reader.push(frame);
    const [message, ...pieces] = readAll(reader);
    assert.deepEqual(shown([message]), [`${FRAME_MESSAGE} ${hex(Buffer.from("message"))}`]);
    assert.deepEqual(
      pieces.map(({ kind, payload }) => [kind, payload.length]),
      [
        [FRAME_PIECE, MIB],
        [FRAME_PIECE, MIB],
        [FRAME_PIECE, 3],
      ],
    );
    assert.ok(Buffer.concat(pieces.map(({ payload }) => payload)).equals(blob));
  });

  it("come out the same, however the stream is cut", () => {
    const payloads = fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 12 })), { maxLength: 6 });
    fc.assert(
      fc.property(payloads, fc.array(fc.nat(200), { maxLength: 30 }), (frames, cuts) => {
        const stream = concat(
          ...frames.flatMap(([kind, payload]) => [u32be(payload.length + 1), Uint8Array.of(kind), payload]),
        );
        const reader = new FrameReader();
        const read: Frame[] = [];
        const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
        for (let i = 1; i < edges.length; i++) {
          reader.push(stream.subarray(edges[i - 1], edges[i]));
          read.push(...readAll(reader));
        }
        assert.deepEqual(
          shown(read),
          frames.map(([kind, payload]) => `${kind} ${hex(payload)}`),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("are waited for until they are whole, also byte by byte", () => {
    const reader = new FrameReader();
    const stream = concat(...framesOf(Buffer.from("abc"), new Uint8Array(0)));
    for (const [i, byte] of stream.entries()) {
      assert.equal(reader.next(), undefined, `before byte ${i}`);
      reader.push(Uint8Array.of(byte));
    }
    assert.deepEqual(shown(readAll(reader)), ["0 616263"]);
  });

  it("of no length or over the limit are refused by their head alone", () => {
    for (const length of [0, LIMITS.frameBytesMax + 1, 2 ** 31, 2 ** 32 - 1]) {
      const reader = new FrameReader();
      reader.push(concat(u32be(length), Uint8Array.of(0)));
      assert.throws(() => reader.next(), coded("message.too_large"), `${length}`);
    }
    const reader = new FrameReader();
    reader.push(concat(u32be(LIMITS.frameBytesMax), Uint8Array.of(0)));
    assert.equal(reader.next(), undefined);
  });

  it("are copies: what the stream's owner does with its buffer later changes nothing", () => {
    const reader = new FrameReader();
    const stream = concat(...framesOf(Buffer.from("abc"), new Uint8Array(0)));
    reader.push(stream);
    const frame = reader.next()!;
    stream.fill(0);
    assert.deepEqual(shown([frame]), ["0 616263"]);
  });
});

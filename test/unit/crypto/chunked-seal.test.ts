import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concat, u32be, utf8 } from "../../../src/core/bytes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { open, openPieces, seal } from "../../../src/crypto/chunked-seal.ts";
import { sealedLength } from "../../../src/crypto/seal-format.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "./hex.ts";
import { sealTwin } from "./seal-twin.ts";

const CHUNK = 4096;
const STRIDE = CHUNK + 16;
const HEADER = 72;
const random = seededRandom("chunked seal");
const secret = random.bytes(32);
const context = utf8("round 7");
const sealed = (length: number) => seal(secret, context, data(length), random, CHUNK);

function data(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

/** All that comes piece by piece, copied before the next one overwrites it. */
function pieces(blob: Uint8Array): Uint8Array {
  return concat(...Array.from(openPieces(secret, context, blob), (piece) => piece.slice()));
}

function refused(blob: Uint8Array, what: string): void {
  assert.equal(open(secret, context, blob), undefined, what);
  assert.throws(() => pieces(blob), coded("seal.broken"), what);
}

const LENGTHS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 7 * CHUNK + 5];

describe("a sealed blob", () => {
  for (const length of LENGTHS) {
    it(`of ${length} bytes has the length announced and opens to them`, () => {
      const blob = sealed(length);
      assert.equal(blob.length, sealedLength(length, CHUNK));
      assert.equal(hex(open(secret, context, blob)!), hex(data(length)));
      assert.equal(hex(pieces(blob)), hex(data(length)));
    });

    it(`of ${length} bytes is what the description says, byte for byte`, () => {
      const salt = random.bytes(32);
      const blob = seal(secret, context, data(length), { bytes: () => salt.slice() }, CHUNK);
      assert.equal(hex(blob), hex(sealTwin(secret, context, data(length), salt, CHUNK)));
    });
  }

  it("has chunks of 256 KiB unless told otherwise, as lengths are computed", () => {
    for (const length of [0, LIMITS.chunkBytes, LIMITS.chunkBytes + 1]) {
      const blob = seal(secret, context, data(length), random);
      assert.equal(blob.length, sealedLength(length));
      assert.equal(open(secret, context, blob)!.length, length);
    }
  });

  it("never looks the same twice", () => {
    const blobs = Array.from({ length: 4 }, () => hex(sealed(10)));
    assert.equal(new Set(blobs).size, 4);
    assert.equal(new Set(blobs.map((blob) => blob.slice(2 * HEADER))).size, 4);
  });

  it("opens into the bytes that it is given, which are overwritten where a later chunk does not hold", () => {
    for (const length of LENGTHS) {
      const given = new Uint8Array(length).fill(9);
      const blob = sealed(length);
      assert.equal(
        open(secret, context, blob, () => given),
        given,
      );
      assert.deepEqual(given, data(length));
      blob[blob.length - 1] ^= 1;
      assert.equal(
        open(secret, context, blob, () => given),
        undefined,
      );
      assert.ok(given.every((byte) => byte === 0));
    }
  });

  it("is made and opened under no secret of fewer than 32 bytes", () => {
    const blob = sealed(20);
    for (const length of [0, 1, 15]) {
      const short = secret.subarray(0, length);
      assert.throws(() => seal(short, context, data(20), random, CHUNK), RangeError);
      assert.throws(() => open(short, context, blob), RangeError);
      assert.throws(() => [...openPieces(short, context, blob)], RangeError);
    }
  });

  it("leaves secret, context and plaintext as they were", () => {
    const inputs = [secret.slice(), context.slice(), data(CHUNK + 3)] as const;
    const before = inputs.map(hex);
    open(inputs[0], inputs[1], seal(...inputs, random, CHUNK));
    assert.deepEqual(inputs.map(hex), before);
  });
});

describe("a sealed blob is refused", () => {
  it("with any single bit flipped", () => {
    const blob = sealed(20);
    for (let bit = 0; bit < 8 * blob.length; bit++) {
      const altered = blob.slice();
      altered[bit >> 3] ^= 1 << (bit & 7);
      refused(altered, `bit ${bit}`);
    }
  });

  it("with a bit flipped anywhere in its second chunk", () => {
    const blob = sealed(CHUNK + 100);
    for (let at = HEADER + STRIDE; at < blob.length; at++) {
      const altered = blob.slice();
      altered[at] ^= 0x10;
      refused(altered, `byte ${at}`);
    }
  });

  it("cut off at any byte, also where a chunk ends", () => {
    const blob = sealed(3 * CHUNK + 9);
    const edges = [0, 1, 2, 3].map((count) => HEADER + count * STRIDE);
    const near = edges.flatMap((edge) => [edge - 17, edge - 16, edge - 1, edge, edge + 1, edge + 15, edge + 16]);
    for (const length of [0, 1, 4, 8, 40, 71, blob.length - 1, ...near])
      refused(blob.subarray(0, length), `${length} bytes`);
    const short = sealed(30);
    for (let length = 0; length < short.length; length++) refused(short.subarray(0, length), `${length} bytes`);
  });

  it("with bytes behind it: one, a tag, its last chunk again, a chunk of nothing", () => {
    for (const length of [0, 5, CHUNK, CHUNK + 5]) {
      const blob = sealed(length);
      const last = blob.subarray(HEADER + Math.max(0, Math.ceil(length / CHUNK) - 1) * STRIDE);
      for (const more of [new Uint8Array(1), new Uint8Array(16), last, new Uint8Array(STRIDE)]) {
        refused(concat(blob, more), `${length} and ${more.length}`);
      }
    }
  });

  it("with chunks swapped, left out, repeated or taken from another blob of the same secret", () => {
    const blob = sealed(3 * CHUNK);
    const other = sealed(3 * CHUNK);
    const part = (from: Uint8Array, i: number) => from.subarray(HEADER + i * STRIDE, HEADER + (i + 1) * STRIDE);
    const built = (...order: number[]) => concat(blob.subarray(0, HEADER), ...order.map((i) => part(blob, i)));
    assert.ok(open(secret, context, built(0, 1, 2)) !== undefined);
    for (const order of [
      [1, 0, 2],
      [0, 2, 1],
      [2, 1, 0],
      [0, 2],
      [0, 1],
      [1, 2],
      [2],
      [0, 1, 1],
      [0, 1, 2, 2],
      [0, 0, 1, 2],
    ]) {
      refused(built(...order), order.join());
    }
    refused(concat(blob.subarray(0, HEADER), part(other, 0), part(blob, 1), part(blob, 2)), "a foreign chunk");
    refused(concat(other.subarray(0, HEADER), blob.subarray(HEADER)), "a foreign header");
  });

  it("under another secret, context or chunk length", () => {
    const blob = sealed(CHUNK + 1);
    assert.equal(open(random.bytes(32), context, blob), undefined);
    assert.equal(open(concat(secret, Uint8Array.of(0)), context, blob), undefined);
    for (const other of ["round 8", "round 7 ", "", "round 70"])
      assert.equal(open(secret, utf8(other), blob), undefined);
    for (const length of [0, 1, 16, CHUNK - 1, CHUNK + 1, 2 * CHUNK, 2 ** 20, 2 ** 20 + 1, 2 ** 31, 2 ** 32 - 1]) {
      refused(concat(blob.subarray(0, 4), u32be(length), blob.subarray(8)), `chunks of ${length}`);
    }
  });

  it("whose chunks are shorter than 4 KiB or longer than 1 MiB, even if all else holds", () => {
    const salt = random.bytes(32);
    for (const length of [1, 16, 4095, 2 ** 20 + 1]) {
      refused(sealTwin(secret, context, data(40), salt, length), `chunks of ${length}`);
      assert.throws(() => seal(secret, context, data(40), random, length), RangeError);
    }
    for (const length of [4096, 2 ** 20]) {
      assert.equal(open(secret, context, sealTwin(secret, context, data(40), salt, length))?.length, 40);
    }
  });

  it("where an empty last chunk hides behind full ones: each length has one form", () => {
    const salt = random.bytes(32);
    const whole = sealTwin(secret, context, data(2 * CHUNK), salt, CHUNK);
    const tail = sealTwin(secret, context, data(0), salt, CHUNK).subarray(HEADER);
    refused(concat(whole, tail), "an empty chunk");
  });
});

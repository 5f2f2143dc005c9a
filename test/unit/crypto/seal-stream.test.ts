import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, utf8 } from "../../../src/core/bytes.ts";
import { seal } from "../../../src/crypto/chunked-seal.ts";
import { openStream, sealStream } from "../../../src/crypto/seal-stream.ts";
import { seededRandom } from "../../support/clock.ts";
import { hex } from "./hex.ts";

const CHUNK = 4096;
const STRIDE = CHUNK + 16;
const HEADER = 72;
const random = seededRandom("seal stream");
const secret = random.bytes(32);
const context = utf8("round 7");

async function* pieces(blob: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < blob.length; i++) {
    const length = lengths[i % lengths.length];
    yield blob.subarray(at, at + length);
    at += length;
  }
}

async function gathered(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return concat(...parts);
}

const opened = (blob: Uint8Array, lengths: readonly number[] = [1000]) =>
  gathered(openStream(secret, context, pieces(blob, lengths)));

const LENGTHS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5];

describe("a blob sealed in pieces", () => {
  it("is the blob sealed whole, and opens again, however either is cut", async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 3 * CHUNK }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...LENGTHS), cuts, cuts, async (length, before, after) => {
        const blob = random.bytes(length);
        const salt = random.bytes(32);
        const fixed = { bytes: () => salt.slice() };
        const sealed = await gathered(sealStream(secret, context, pieces(blob, before), fixed, CHUNK));
        assert.equal(hex(sealed), hex(seal(secret, context, blob, fixed, CHUNK)));
        assert.equal(hex(await opened(sealed, after)), hex(blob));
      }),
      { numRuns: 60 },
    );
  });

  it("takes pieces of nothing for nothing", async () => {
    const blob = random.bytes(CHUNK);
    async function* withGaps(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(0);
      yield blob;
      yield new Uint8Array(0);
    }
    const sealed = await gathered(sealStream(secret, context, withGaps(), random, CHUNK));
    assert.equal(sealed.length, HEADER + STRIDE);
    assert.equal(hex(await opened(sealed)), hex(blob));
  });

  it("holds no more than a chunk and a piece: it reads on only when asked", async () => {
    let given = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        given += CHUNK;
        yield new Uint8Array(CHUNK);
      }
    }
    let [taken, aheadMax] = [0, 0];
    for await (const part of sealStream(secret, context, endless(), random, CHUNK)) {
      taken += part.length;
      aheadMax = Math.max(aheadMax, given - taken);
      if (taken > 100 * CHUNK) break;
    }
    assert.ok(aheadMax <= 2 * CHUNK, `${aheadMax} bytes read ahead`);
  });

  it("ends its source when whoever reads has enough", async () => {
    let isEnded = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield new Uint8Array(CHUNK);
      } finally {
        isEnded = true;
      }
    }
    let parts = 0;
    for await (const _ of sealStream(secret, context, endless(), random, CHUNK)) if (++parts === 2) break;
    assert.equal(isEnded, true);
  });

  it("refuses a chunk length out of range as a mistake of the program", async () => {
    for (const length of [0, 4095, 2 ** 20 + 1, 5000.5]) {
      await assert.rejects(gathered(sealStream(secret, context, pieces(secret, [1]), random, length)), RangeError);
    }
  });
});

describe("what is given to seal or open in pieces", () => {
  const sealed = seal(secret, context, random.bytes(100), random, CHUNK);
  const both = (key: Uint8Array, place: Uint8Array, plaintext: Uint8Array, blob: Uint8Array) => [
    () => gathered(sealStream(key, place, pieces(plaintext, [50]), random, CHUNK)),
    () => gathered(openStream(key, place, pieces(blob, [50]))),
  ];

  it("must be bytes where it is a secret or a context: a blob is bound to nothing else", async () => {
    const wrong = ["x".repeat(32), { length: 32 }, new Uint16Array(32), Array.from({ length: 32 }, () => 1), undefined];
    for (const value of wrong as Uint8Array[]) {
      const noBytes = (name: string) => new TypeError(`Cannot use ${name}: expected a Uint8Array`);
      for (const run of both(value, context, secret, sealed)) await assert.rejects(run, noBytes("secret"));
      for (const run of both(secret, value, secret, sealed)) await assert.rejects(run, noBytes("context"));
    }
  });

  it("must be a secret that nobody guesses", async () => {
    for (const length of [0, 1, 15]) {
      const refusal = new RangeError(`Cannot use secret: expected at least 16 bytes, got ${length}`);
      for (const run of both(secret.subarray(0, length), context, secret, sealed)) await assert.rejects(run, refusal);
    }
    const longer = random.bytes(48);
    const blob = await gathered(sealStream(longer, context, pieces(secret, [50]), random, CHUNK));
    assert.equal(hex(await gathered(openStream(longer, context, pieces(blob, [50])))), hex(secret));
  });

  it("must come in pieces of bytes", async () => {
    async function* wrong(): AsyncGenerator<Uint8Array> {
      yield new Uint16Array(CHUNK) as unknown as Uint8Array;
    }
    const refusal = new TypeError("Cannot use piece: expected a Uint8Array");
    await assert.rejects(gathered(sealStream(secret, context, wrong(), random, CHUNK)), refusal);
    await assert.rejects(gathered(openStream(secret, context, wrong())), refusal);
  });
});

describe("a blob in pieces is refused", () => {
  const blob = random.bytes(2 * CHUNK + 100);
  const sealed = seal(secret, context, blob, random, CHUNK);
  const refused = (altered: Uint8Array, what: string) =>
    assert.rejects(opened(altered), { name: "QflareError", code: "seal.broken" }, what);

  it("cut off anywhere near an edge, and with anything behind it", async () => {
    const edges = [0, HEADER, HEADER + STRIDE, HEADER + 2 * STRIDE, sealed.length];
    for (const edge of edges) {
      for (const length of [edge - 16, edge - 1, edge, edge + 1, edge + 16]) {
        if (length >= 0 && length < sealed.length) await refused(sealed.subarray(0, length), `${length} bytes`);
      }
    }
    await refused(concat(sealed, Uint8Array.of(0)), "a byte more");
    await refused(concat(sealed, sealed.subarray(HEADER + 2 * STRIDE)), "its last chunk again");
  });

  it("with a bit flipped in any part", async () => {
    for (const at of [0, 4, 8, 40, HEADER, HEADER + STRIDE - 1, HEADER + STRIDE, sealed.length - 1]) {
      await refused(sealed.with(at, sealed[at] ^ 1), `byte ${at}`);
    }
  });

  it("with its chunks in another order, or one of them missing", async () => {
    const chunk = (i: number) => sealed.subarray(HEADER + i * STRIDE, HEADER + (i + 1) * STRIDE);
    const header = sealed.subarray(0, HEADER);
    await refused(concat(header, chunk(1), chunk(0), chunk(2)), "exchanged");
    await refused(concat(header, chunk(1), chunk(2)), "without the first");
    await refused(concat(header, chunk(0), chunk(2)), "without the second");
  });

  it("for another secret and another context", async () => {
    await assert.rejects(gathered(openStream(random.bytes(32), context, pieces(sealed, [999]))), {
      code: "seal.broken",
    });
    await assert.rejects(gathered(openStream(secret, utf8("round 8"), pieces(sealed, [999]))), {
      code: "seal.broken",
    });
  });

  it("only where it is broken: what came before was a true beginning", async () => {
    const broken = sealed.with(HEADER + STRIDE + 5, sealed[HEADER + STRIDE + 5] ^ 1);
    const parts: Uint8Array[] = [];
    await assert.rejects(async () => {
      for await (const part of openStream(secret, context, pieces(broken, [777]))) parts.push(part);
    });
    assert.equal(hex(concat(...parts)), hex(blob.subarray(0, CHUNK)));
  });
});

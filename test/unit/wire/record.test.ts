import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../../src/core/limits.ts";
import { openRecord, type RecordPlace, SequenceWindow, sealRecord } from "../../../src/wire/record.ts";
import { seededRandom } from "../../support/clock.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("records");
const keys = { key: random.bytes(32), iv: random.bytes(12) };
const plaintext = Buffer.from("work, please");
const place: RecordPlace = {
  direction: "c2s",
  method: "GET",
  path: "/api/global_model",
  sessionId: random.bytes(16),
  sequence: 7,
  answers: 7,
  contentType: "application/qflare-record",
  contentLength: 0,
};

/** Each field once altered, and what could be mistaken for another field. */
const OTHERS: readonly Partial<RecordPlace>[] = [
  { direction: "s2c" },
  { method: "POST" },
  { method: "get" },
  { path: "/api/global_model?" },
  { path: "/api/submit_model" },
  { method: "GET/api", path: "/global_model" },
  { sessionId: random.bytes(16) },
  { sessionId: place.sessionId.slice(1) },
  { sequence: 8 },
  { sequence: 6 },
  { answers: 6 },
  { answers: 7 + 2 ** 32 },
  { contentType: "application/qflare-update" },
  { contentType: "" },
  { contentLength: 1 },
  { contentLength: 2 ** 32 },
];

describe("a record", () => {
  it("opens in its own place, with a tag more than its plaintext", () => {
    const sealed = sealRecord(keys, place, plaintext);
    assert.equal(sealed.length, plaintext.length + 16);
    assert.equal(hex(openRecord(keys, place, sealed)!), hex(plaintext));
    assert.equal(openRecord(keys, place, sealRecord(keys, place, new Uint8Array(0)))!.length, 0);
  });

  for (const other of OTHERS) {
    it(`opens nowhere else: ${JSON.stringify(other, (_, v) => (v instanceof Uint8Array ? hex(v) : v))}`, () => {
      const sealed = sealRecord(keys, place, plaintext);
      assert.equal(openRecord(keys, { ...place, ...other }, sealed), undefined);
    });
  }

  it("opens with no bit flipped, under no other key or IV, and not when cut", () => {
    const sealed = sealRecord(keys, place, plaintext);
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const altered = sealed.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      assert.equal(openRecord(keys, place, altered), undefined);
    }
    assert.equal(openRecord({ ...keys, key: random.bytes(32) }, place, sealed), undefined);
    assert.equal(openRecord({ ...keys, iv: random.bytes(12) }, place, sealed), undefined);
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(openRecord(keys, place, sealed.subarray(0, length)), undefined);
    }
  });

  it("has a nonce of its own: no keystream comes twice within a session's numbers", () => {
    const zeros = new Uint8Array(16);
    const numbers = [...Array(300).keys(), 1023, 1024, 65_535, 65_536, LIMITS.sessionRecordsMax - 1, 2 ** 32, 2 ** 52];
    const streams = numbers.map((sequence) => hex(sealRecord(keys, { ...place, sequence }, zeros).subarray(0, 16)));
    assert.equal(new Set(streams).size, new Set(numbers).size);
  });

  it("leaves key and IV as they were", () => {
    const before = [hex(keys.key), hex(keys.iv)];
    openRecord(keys, place, sealRecord(keys, place, plaintext));
    assert.deepEqual([hex(keys.key), hex(keys.iv)], before);
  });
});

/** Remembers every number: what the window approximates with 1,024 bits. */
class SlowWindow {
  readonly #seen = new Set<number>();
  #highest = -1;

  take(sequence: number): boolean {
    const isOld = sequence <= this.#highest - LIMITS.sequenceWindowBits;
    if (this.#seen.has(sequence) || isOld || sequence < 0 || sequence >= LIMITS.sessionRecordsMax) return false;
    this.#seen.add(sequence);
    this.#highest = Math.max(this.#highest, sequence);
    return true;
  }
}

describe("the window of sequence numbers", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -3, max: 3 }) },
    { weight: 2, arbitrary: fc.integer({ min: -1030, max: 1030 }) },
    { weight: 1, arbitrary: fc.integer({ min: -1025, max: -1023 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 100_000 }) },
  );

  it("takes what a set of all numbers would take", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const [window, slow] = [new SequenceWindow(), new SlowWindow()];
        let at = 0;
        for (const by of steps) {
          at = Math.min(Math.max(at + by, -2), LIMITS.sessionRecordsMax + 1);
          const isFresh = window.isFresh(at);
          assert.equal(window.take(at), slow.take(at), `number ${at}`);
          assert.equal(window.isFresh(at), false);
          if (!isFresh) assert.equal(window.take(at), false);
        }
      }),
      { numRuns: 400 },
    );
  });

  it("ends 1,024 numbers below the highest, to the number", () => {
    const window = new SequenceWindow();
    assert.ok(window.take(5000));
    assert.equal(window.take(5000 - 1024), false);
    assert.ok(window.take(5000 - 1023));
    assert.equal(window.take(5000 - 1023), false);
    assert.ok(window.take(5001));
    assert.equal(window.isFresh(5001 - 1024), false);
    assert.ok(window.isFresh(5001 - 1023));
  });

  it("forgets nothing in a jump of exactly its size, or one less, or one more", () => {
    for (const jump of [1023, 1024, 1025]) {
      const window = new SequenceWindow();
      for (const taken of [0, 1, jump]) assert.ok(window.take(taken));
      for (const taken of [0, 1, jump]) assert.equal(window.take(taken), false, `${taken} after ${jump}`);
      for (let number = 2; number < jump; number++) {
        assert.equal(window.take(number), number > jump - 1024, `${number} after ${jump}`);
      }
    }
  });

  it("takes numbers from 0 to 2^20 - 1 alone, and moves for no other", () => {
    const window = new SequenceWindow();
    const wrong = [-1, -0.5, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 20, 2 ** 20 + 1, 2 ** 53];
    for (const number of wrong) assert.equal(window.take(number), false, `${number}`);
    assert.ok(window.take(0));
    assert.ok(window.take(2 ** 20 - 1));
    assert.equal(window.take(2 ** 20 - 1), false);
  });
});

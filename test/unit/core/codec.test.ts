import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, fromHex, toHex } from "../../../src/core/bytes.ts";
import { decodeCbor, encodeCbor } from "../../../src/core/codec.ts";
import { QflareError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { codePoints } from "../../support/code-points.ts";
import { coded } from "../../support/errors.ts";

const BYTES_MAX = 2 ** 20;
const read = (hex: string): unknown => decodeCbor(fromHex(hex)!, BYTES_MAX);

/** RFC 8949 appendix A, as far as the protocol uses it. */
const KNOWN: readonly (readonly [unknown, string])[] = [
  [0, "00"],
  [23, "17"],
  [24, "1818"],
  [100, "1864"],
  [1000, "1903e8"],
  [1_000_000, "1a000f4240"],
  [1_000_000_000_000, "1b000000e8d4a51000"],
  [Number.MAX_SAFE_INTEGER, "1b001fffffffffffff"],
  [-1, "20"],
  [-1000, "3903e7"],
  [Number.MIN_SAFE_INTEGER, "3b001ffffffffffffe"],
  [1.5, "f93e00"],
  [100_000.5, "fa47c35040"],
  [1.1, "fb3ff199999999999a"],
  [1e300, "fb7e37e43c8800759c"],
  [2 ** -24, "f90001"],
  [-4.1, "fbc010666666666666"],
  [false, "f4"],
  [true, "f5"],
  [null, "f6"],
  ["", "60"],
  ["IETF", "6449455446"],
  ["水", "63e6b0b4"],
  ["𐅑", "64f0908591"],
  [new Uint8Array(0), "40"],
  [Uint8Array.of(1, 2, 3, 4), "4401020304"],
  [[], "80"],
  [[1, [2, 3], [4, 5]], "8301820203820405"],
  [new Map(), "a0"],
  [
    new Map<string, unknown>([
      ["a", 1],
      ["b", [2, 3]],
    ]),
    "a26161016162820203",
  ],
];

const REFUSED: Readonly<Record<string, string>> = {
  nothing: "",
  "a trailing byte": "0000",
  "a cut number": "19ff",
  "a cut text": "6261",
  "a cut list": "8201",
  "a cut map": "a16161",
  "more members than bytes": "9b7fffffffffffffff",
  "a text of 2^63 bytes": "7b7fffffffffffffff",
  "a key twice": "a2616100616101",
  "a key of bytes twice": "a2410100410101",
  "a key that is a number": "a10000",
  "a key that is a list": "a18000",
  "a key that is a map": "a1a000",
  "keys out of order": "a2616200616100",
  "a longer key before a shorter one": "a262616100616200",
  "a number in more bytes than it needs": "1817",
  "a length in more bytes than it needs": "780161",
  "a list's length in more bytes than it needs": "980100",
  "a whole number as a float": "f93c00",
  "zero below zero": "f98000",
  "a float in more bytes than it needs": "fa3fc00000",
  "2^53 as a whole number": "1b0020000000000000",
  "-2^53 as a whole number": "3b001fffffffffffff",
  "2^64 - 1": "1bffffffffffffffff",
  NaN: "f97e00",
  "another NaN": "fb7ff8000000000001",
  infinity: "f97c00",
  "infinity below zero": "f9fc00",
  undefined: "f7",
  "a simple value": "e0",
  "a tag": "c11a514b67b0",
  "a big number": "c249010000000000000000",
  "bytes of indefinite length": "5f4101ff",
  "a text of indefinite length": "7f6161ff",
  "a list of indefinite length": "9f01ff",
  "a map of indefinite length": "bf616101ff",
  "a break alone": "ff",
  "reserved length bits": "1c",
  "a text that is not UTF-8": "61ff",
  "a surrogate in UTF-8": "63eda080",
};

/** levels maps or lists, one in the other. */
function nested(opening: string, levels: number): Uint8Array {
  return concat(...Array.from({ length: levels }, () => fromHex(opening)!), Uint8Array.of(0));
}

describe("CBOR", () => {
  for (const [value, hex] of KNOWN) {
    it(`writes ${hex} and reads it back`, () => {
      assert.equal(toHex(encodeCbor(value)), hex);
      assert.deepEqual(read(hex), value);
    });
  }

  for (const [what, hex] of Object.entries(REFUSED)) {
    it(`refuses ${what}`, () => assert.throws(() => read(hex), coded("message.malformed")));
  }

  it("refuses nesting of any depth with a code, also where the stack ends on the way", () => {
    for (const opening of ["81", "a16161"]) {
      assert.doesNotThrow(() => decodeCbor(nested(opening, LIMITS.messageDepthMax), BYTES_MAX));
      for (let levels = LIMITS.messageDepthMax + 1; levels < 40_000; levels = Math.ceil(levels * 1.3)) {
        assert.throws(() => decodeCbor(nested(opening, levels), BYTES_MAX), coded("message.malformed"), `${levels}`);
      }
    }
  });

  it("is refused by its length before it is read", () => {
    assert.deepEqual(decodeCbor(encodeCbor([1, 2, 3]), 4), [1, 2, 3]);
    assert.throws(() => decodeCbor(encodeCbor([1, 2, 3]), 3), coded("message.too_large", /at most 3 bytes, got 4$/));
  });

  it("gives maps that no key can turn into a prototype", () => {
    const map = read("a1695f5f70726f746f5f5fa1617801") as Map<string, unknown>;
    assert.deepEqual([...map.keys()], ["__proto__"]);
    assert.equal(({} as { x?: number }).x, undefined);
  });

  it("writes the members of an object in one order, whatever order they were set in", () => {
    assert.equal(toHex(encodeCbor({ bb: 1, a: 2, c: 3 })), toHex(encodeCbor({ c: 3, a: 2, bb: 1 })));
  });
});

const scalar = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  fc.boolean(),
  fc.constant(null),
  codePoints(12),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Uint8Array.from(bytes)),
);
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(fc.string({ maxLength: 4 }), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
  ),
}));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!(value instanceof Map)) return value;
  return new Map([...value].map(([key, entry]) => [key, sorted(entry)] as const));
}

describe("any CBOR value", () => {
  it("comes back as it was, and has one form", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const encoded = encodeCbor(value);
        const decoded = decodeCbor(encoded, BYTES_MAX);
        assert.deepEqual(sorted(decoded), sorted(value));
        assert.equal(toHex(encodeCbor(decoded)), toHex(encoded));
      }),
      { numRuns: 1000 },
    );
  });

  it("that was altered is refused with a code or is another value's one form", () => {
    fc.assert(
      fc.property(anyValue, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, place, mask) => {
        const altered = encodeCbor(value);
        altered[place % altered.length] ^= mask;
        try {
          assert.equal(toHex(encodeCbor(decodeCbor(altered, BYTES_MAX))), toHex(altered));
        } catch (error) {
          assert.ok(error instanceof QflareError && error.code === "message.malformed", String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});

it("gives byte strings of their own, whatever kind of array they were read from", () => {
  const encoded = encodeCbor({ a: Uint8Array.of(1, 2, 3) });
  for (const input of [encoded, Buffer.from(encoded), encoded.subarray(0)]) {
    const read = (decodeCbor(input, 64) as Map<string, Uint8Array>).get("a")!;
    read.fill(9);
    assert.deepEqual([...input], [...encoded]);
    assert.deepEqual([...encodeCbor({ a: Uint8Array.of(1, 2, 3) })], [...encoded]);
  }
});

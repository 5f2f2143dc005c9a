import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  concat,
  equal,
  fromBase64Url,
  fromHex,
  fromUtf8,
  lengthPrefixed,
  readU32be,
  toBase64Url,
  toHex,
  u32be,
  u64be,
  utf8,
  wipe,
} from "../../../src/core/bytes.ts";
import { bytesFromFloats, floatsFromBytes } from "../../../src/core/floats.ts";

const someBytes = fc.uint8Array({ maxLength: 80 });

describe("hexadecimal", () => {
  it("is what Buffer writes, and reads back", () => {
    fc.assert(
      fc.property(someBytes, (bytes) => {
        assert.equal(toHex(bytes), Buffer.from(bytes).toString("hex"));
        assert.deepEqual(fromHex(toHex(bytes)), bytes);
      }),
    );
  });

  it("is refused where it is not lower-case digits of whole bytes", () => {
    for (const text of ["0", "abc", "AB", "0x", "g0", " 00", "00 ", "00\n", "0٠", "-1"]) {
      assert.equal(fromHex(text), undefined, JSON.stringify(text));
    }
  });
});

describe("base64url", () => {
  it("is what Buffer writes, and reads back", () => {
    fc.assert(
      fc.property(someBytes, (bytes) => {
        assert.equal(toBase64Url(bytes), Buffer.from(bytes).toString("base64url"));
        assert.deepEqual(fromBase64Url(toBase64Url(bytes)), bytes);
      }),
    );
  });

  it("has one form for some bytes: padding, other alphabets and unused bits that are set are refused", () => {
    for (const text of ["AA==", "A", "AAAAA", "AB", "AAB", "+A", "/A", "A A", "AA\n", "AA.", "é", "\0"]) {
      assert.equal(fromBase64Url(text), undefined, JSON.stringify(text));
    }
  });

  it("reads no two texts as the same bytes", () => {
    const text = fc.string({ maxLength: 8, unit: fc.constantFrom(..."ABCDwxyz0189-_=+/") });
    fc.assert(
      fc.property(text, (candidate) => {
        const bytes = fromBase64Url(candidate);
        if (bytes !== undefined) assert.equal(toBase64Url(bytes), candidate);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("LP, the length prefix", () => {
  it("gives two lists of fields the same bytes only where the lists are the same", () => {
    const fields = fc.array(fc.uint8Array({ maxLength: 6, max: 2 }), { maxLength: 4 });
    fc.assert(
      fc.property(fields, fields, (a, b) => {
        const isSame = a.length === b.length && a.every((field, i) => equal(field, b[i]));
        assert.equal(equal(lengthPrefixed(...a), lengthPrefixed(...b)), isSame);
      }),
      { numRuns: 2000 },
    );
  });

  it("tells apart what a plain concatenation mixes up", () => {
    assert.equal(toHex(lengthPrefixed(utf8("ab"), utf8("c"))), "0000000261620000000163");
    assert.equal(toHex(lengthPrefixed(utf8("a"), utf8("bc"))), "0000000161000000026263");
    assert.equal(toHex(lengthPrefixed(new Uint8Array(0))), "00000000");
    assert.equal(toHex(lengthPrefixed()), "");
  });
});

describe("comparison", () => {
  it("sees a single bit, at any place", () => {
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
    assert.ok(equal(bytes, bytes.slice()));
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const other = bytes.slice();
      other[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(equal(bytes, other), false, `bit ${bit}`);
    }
  });

  it("are equal at any address, and different where any byte is", () => {
    const room = Uint8Array.from({ length: 64 }, (_, i) => i % 16);
    for (const [start, other] of [0, 1, 2, 3, 4, 5].flatMap((x) =>
      [0, 1, 2, 3].map((y) => [x, 16 + x + 16 * (y % 2)]),
    )) {
      for (const length of [0, 1, 3, 4, 7, 8, 15]) {
        const [a, b] = [room.subarray(start, start + length), room.slice(other, other + length)];
        assert.equal(equal(a, b), true, `${start}, ${other}, ${length}`);
        const shifted = new Uint8Array(length + 1).subarray(1);
        shifted.set(b);
        assert.equal(equal(a, shifted), true);
        for (let at = 0; at < length; at++) assert.equal(equal(a, shifted.with(at, shifted[at] ^ 128)), false);
      }
    }
  });

  it("sees another length, and takes nothing for nothing", () => {
    assert.equal(equal(new Uint8Array(3), new Uint8Array(4)), false);
    assert.equal(equal(new Uint8Array(3), new Uint8Array(0)), false);
    assert.ok(equal(new Uint8Array(0), new Uint8Array(0)));
  });
});

describe("whole numbers", () => {
  it("of 32 and 64 bits stand in big-endian order up to their largest value", () => {
    assert.equal(toHex(u32be(0x01020304)), "01020304");
    assert.equal(toHex(u32be(2 ** 32 - 1)), "ffffffff");
    assert.equal(toHex(u64be(2 ** 32)), "0000000100000000");
    assert.equal(toHex(u64be(Number.MAX_SAFE_INTEGER)), "001fffffffffffff");
  });

  it("of 32 bits are read at any offset of a view", () => {
    const whole = concat(Uint8Array.of(9, 9, 9), u32be(0xfffefdfc), Uint8Array.of(9));
    assert.equal(readU32be(whole, 3), 0xfffefdfc);
    assert.equal(readU32be(whole.subarray(2), 1), 0xfffefdfc);
    assert.throws(() => readU32be(whole, 5), RangeError);
  });
});

describe("text and memory", () => {
  it("reads UTF-8 and refuses what is none", () => {
    assert.equal(fromUtf8(utf8("Zürich 🚀")), "Zürich 🚀");
    for (const hex of ["ff", "c328", "eda080", "f4908080", "e2"])
      assert.throws(() => fromUtf8(fromHex(hex)!), TypeError);
  });

  it("joins copies, and wipes every array it is given", () => {
    const a = Uint8Array.of(1, 2);
    const joined = concat(a, new Uint8Array(0), Uint8Array.of(3));
    wipe(a);
    assert.deepEqual([...joined], [1, 2, 3]);
    assert.deepEqual([...a], [0, 0]);
  });
});

describe("floats on the wire", () => {
  it("are little-endian binary32, whatever the alignment of the bytes", () => {
    const floats = Float32Array.of(1, -2.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** -149);
    const bytes = bytesFromFloats(floats);
    assert.equal(toHex(bytes), "0000803f000020c00000c07f0000807f01000000");
    for (let shift = 0; shift < 4; shift++) {
      const shifted = concat(new Uint8Array(shift), bytes).subarray(shift);
      assert.deepEqual(floatsFromBytes(shifted), floats);
    }
  });

  it("are a view where alignment allows it, and whole", () => {
    const bytes = new Uint8Array(8);
    floatsFromBytes(bytes)[1] = 1;
    assert.equal(toHex(bytes), "000000000000803f");
    assert.equal(floatsFromBytes(new Uint8Array(0)).length, 0);
    for (const length of [1, 2, 3, 5]) assert.throws(() => floatsFromBytes(new Uint8Array(length)), RangeError);
  });
});

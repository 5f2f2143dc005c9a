import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeCbor } from "../../../src/core/codec.ts";
import {
  bytes,
  entriesOf,
  float,
  list,
  message,
  nullable,
  object,
  oneOf,
  type Shape,
  text,
  uint,
} from "../../../src/core/shape.ts";
import { coded } from "../../support/errors.ts";

function accepts(shape: Shape<unknown>, values: readonly unknown[]): void {
  for (const value of values) assert.deepEqual(shape.read(value, "here"), value);
}

function refuses(shape: Shape<unknown>, values: readonly unknown[]): void {
  const message = `Cannot read message: here: expected ${shape.words}`;
  for (const value of values) {
    assert.throws(() => shape.read(value, "here"), { code: "message.malformed", message }, String(value));
  }
}

const NOT_NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, "1", 1n, null, undefined, [1], new Map(), true];

describe("a shape of a", () => {
  it("whole number takes its range and nothing beside it", () => {
    accepts(uint(), [0, 1, Number.MAX_SAFE_INTEGER]);
    accepts(uint(3, 5), [3, 4, 5]);
    refuses(uint(), [-1, 0.5, 2 ** 53, ...NOT_NUMBERS]);
    refuses(uint(3, 5), [2, 6, 3.5]);
  });

  it("float takes finite numbers of its range", () => {
    accepts(float(), [0, -1.5, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE]);
    accepts(float(-1, 1), [-1, 0.5, 1]);
    refuses(float(), NOT_NUMBERS);
    refuses(float(-1, 1), [-1.01, 1.01]);
  });

  it("text takes at most its length and what its pattern takes", () => {
    accepts(text(3), ["", "abc", "äöü"]);
    refuses(text(3), ["abcd", 1, null, new Uint8Array(1), new String("a")]);
    accepts(text(9, /^[a-z]+$/), ["abc"]);
    refuses(text(9, /^[a-z]+$/), ["", "aBc", "abc\n", " abc"]);
  });

  it("name takes its list, and no name that every object has", () => {
    accepts(oneOf("a", "b"), ["a", "b"]);
    refuses(oneOf("a", "b"), ["", "c", "A", "toString", "__proto__", 0, null]);
  });

  it("byte string takes its lengths, and gives a copy", () => {
    accepts(bytes(2), [Uint8Array.of(1, 2)]);
    accepts(bytes(0, 2), [new Uint8Array(0), new Uint8Array(2)]);
    refuses(bytes(2), [
      new Uint8Array(1),
      new Uint8Array(3),
      [1, 2],
      "ab",
      new Uint16Array(2),
      new DataView(new ArrayBuffer(2)),
    ]);
    const source = Uint8Array.of(1, 2);
    const copy = bytes(2).read(source, "here");
    source[0] = 9;
    assert.deepEqual([...copy], [1, 2]);
  });

  it("list takes its lengths, and names the entry that does not fit", () => {
    accepts(list(uint(), 0, 2), [[], [1], [1, 2]]);
    refuses(list(uint(), 1, 2), [[], [1, 2, 3], { length: 1, 0: 1 }, "1", new Map()]);
    assert.throws(
      () => list(uint(), 0, 3).read([1, -1], "here"),
      coded("message.malformed", /here\[1\]: expected whole/),
    );
  });

  it("nullable value takes null, and neither undefined nor an absence", () => {
    accepts(nullable(uint()), [null, 0]);
    assert.throws(() => nullable(uint()).read(undefined, "here"), coded("message.malformed", /here: expected whole/));
    const inMap = object({ a: nullable(uint()) });
    assert.throws(
      () => inMap.read({}, "here"),
      coded("message.malformed", /here\.a: expected the member to be there$/),
    );
  });
});

describe("a shape of a map", () => {
  const point = object({ x: uint(), y: nullable(object({ z: list(bytes(1), 0, 2) })) });
  const value = { x: 1, y: { z: [Uint8Array.of(7)] } };

  it("reads a decoded map and a plain object alike", () => {
    const map = new Map<string, unknown>([
      ["x", 1],
      ["y", new Map([["z", [Uint8Array.of(7)]]])],
    ]);
    assert.deepEqual(point.read(map, "here"), value);
    assert.deepEqual(point.read(value, "here"), value);
  });

  it("refuses what is no map", () => {
    for (const wrong of [
      null,
      undefined,
      1,
      "x",
      [],
      [["x", 1]],
      new Uint8Array(2),
      new Map<unknown, unknown>([[1, 1]]),
    ]) {
      assert.throws(() => point.read(wrong, "here"), coded("message.malformed", /here: expected a map$/));
    }
  });

  it("names the member that is missing, unknown or wrong by its whole path", () => {
    const at = (changed: unknown, path: RegExp) =>
      assert.throws(() => point.read(changed, "here"), coded("message.malformed", path));
    at({ y: null }, /: here\.x: expected the member to be there$/);
    at({ ...value, w: 1 }, /: here\.w: expected no such member$/);
    at({ x: 1, y: {} }, /: here\.y\.z: expected the member to be there$/);
    at({ x: 1, y: { z: [Uint8Array.of(7), new Uint8Array(0)] } }, /: here\.y\.z\[1\]: expected 1 bytes$/);
    at({ x: 1, y: { z: [], more: 1 } }, /: here\.y\.more: expected no such member$/);
  });

  it("takes no member that objects have by birth for one of its own", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const map = new Map<string, unknown>([
        ["x", 1],
        ["y", null],
        [name, { polluted: true }],
      ]);
      assert.throws(() => point.read(map, "here"), coded("message.malformed", /expected no such member$/), name);
    }
    const inherited = Object.create({ x: 1 }) as object;
    assert.throws(() => object({ x: uint() }).read(inherited, "here"), coded("message.malformed", /here\.x/));
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });

  it("describes itself as JSON schema: every member required, no other allowed", () => {
    const schema = point.schema as { required: string[]; additionalProperties: boolean; properties: object };
    assert.deepEqual(schema.required, ["x", "y"]);
    assert.equal(schema.additionalProperties, false);
    assert.deepEqual(Object.keys(schema.properties), ["x", "y"]);
  });
});

describe("the members of a value", () => {
  it("are those of maps with text keys and of plain objects", () => {
    assert.deepEqual(entriesOf(new Map([["a", 1]])), [["a", 1]]);
    assert.deepEqual(entriesOf({ a: 1 }), [["a", 1]]);
    for (const value of [null, undefined, "a", 1, [], new Uint8Array(1), new Map([[1, 1]])]) {
      assert.equal(entriesOf(value), undefined);
    }
  });
});

describe("a message", () => {
  const note = message("note", 16, { at: uint(), text: text(64) });

  it("encodes, decodes, and carries its name into refusals", () => {
    assert.deepEqual(note.decode(note.encode({ at: 7, text: "ab" })), { at: 7, text: "ab" });
    assert.throws(
      () => note.decode(encodeCbor({ at: -1, text: "" })),
      coded("message.malformed", /: note\.at: expected/),
    );
    assert.throws(() => note.encode({ at: -1, text: "" }), coded("message.malformed", /: note\.at: expected/));
  });

  it("refuses an encoding over its limit, by a byte", () => {
    const longest = encodeCbor({ at: 0, text: "a".repeat(16 - 11) });
    assert.equal(longest.length, 16);
    assert.doesNotThrow(() => note.decode(longest));
    assert.throws(() => note.decode(encodeCbor({ at: 0, text: "a".repeat(16 - 10) })), coded("message.too_large"));
  });

  it("refuses the same value in another order of members", () => {
    const encoded = note.encode({ at: 7, text: "ab" });
    assert.equal(Buffer.from(encoded).toString("hex"), "a2626174076474657874626162");
    const swapped = Buffer.from("a26474657874626162626174" + "07", "hex");
    assert.throws(() => note.decode(swapped), coded("message.malformed", /deterministic/));
  });
});

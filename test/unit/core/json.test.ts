import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseJson } from "../../../src/core/json.ts";

const ONCE = /SyntaxError: expected every key of an object once/;

describe("JSON from outside", () => {
  it("is read as JSON.parse reads it, where every key stands once in its object", () => {
    for (const text of ['{"a":{"a":1},"b":[{"a":1},{"a":2}]}', '{"a:":1,"a":":{\\"a\\":1}"}', "[]", '"a"', "null"]) {
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }
    const check = (text: string): void => assert.deepEqual(parseJson(text), JSON.parse(text));
    fc.assert(fc.property(fc.json(), check));
  });

  it("is refused where a key stands twice, however it is written and however deep", () => {
    const texts = [
      ...['{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"a":1,"\\u0061":2}', '{"":1,"":2}', ' { "a" : 1 , "a" : 2 } '],
      ...['[[{"b":{"a":[],"a":{}}}]]', '{"a":{"b":1},"a":{"c":1}}', '{"__proto__":1,"__proto__":2}'],
    ];
    for (const text of texts) assert.throws(() => parseJson(text), ONCE, text);
  });

  it("is refused as JSON.parse refuses it", () => {
    for (const text of ["", "{", "{a:1}", '{"a":1,}', "[1]2", "undefined"]) {
      assert.throws(() => parseJson(text), SyntaxError, text);
    }
  });
});

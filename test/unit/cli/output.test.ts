import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { printable } from "../../../src/cli/output.ts";

describe("a text from elsewhere on a terminal", () => {
  it("steers nothing: what does not print is escaped", () => {
    assert.equal(printable("a\u001b[31mb\nc\u009b\u202e\u0000"), "a\\u{1b}[31mb\\u{a}c\\u{9b}\\u{202e}\\u{0}");
    assert.equal(printable("Zürich – 12 °C, 東京, 🙂"), "Zürich – 12 °C, 東京, 🙂");
  });

  it("is cut where it is long", () => {
    assert.equal(printable("x".repeat(2000)).length, 2000);
    assert.equal(printable("x".repeat(2001)), `${"x".repeat(2000)}...`);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ERRORS, type ErrorCode, isErrorCode, QflareError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];

describe("the table of errors", () => {
  it("names each code as noun and problem, with an HTTP status that says who is to blame", () => {
    assert.ok(CODES.length > 30);
    for (const code of CODES) {
      assert.match(code, /^[a-z]+\.[a-z_]+$/);
      const { status } = ERRORS[code];
      assert.ok(Number.isInteger(status) && status >= 400 && status < 600, `${code}: ${status}`);
    }
  });

  it("has texts that state the action, differ, and end without a stop", () => {
    for (const code of CODES) assert.match(ERRORS[code].text, /^Cannot [a-z].*[^.\s]$/, code);
    assert.equal(new Set(CODES.map((code) => ERRORS[code].text)).size, CODES.length);
  });

  it("holds its own members alone", () => {
    for (const text of ["toString", "__proto__", "constructor", "", "round.closed "])
      assert.equal(isErrorCode(text), false);
    assert.ok(CODES.every(isErrorCode));
  });
});

describe("a coded error", () => {
  it("says action, expectation and fact, and keeps code, status and cause", () => {
    const cause = new Error("underneath");
    const error = new QflareError("round.wrong", "expected round 7, got 6", { cause });
    assert.equal(error.message, "Cannot submit update: it is for another round: expected round 7, got 6");
    assert.deepEqual([error.name, error.code, error.status, error.cause], ["QflareError", "round.wrong", 409, cause]);
    assert.ok(error instanceof Error);
  });

  it("has the table's text where nothing more is to be said", () => {
    for (const code of CODES) assert.equal(new QflareError(code).message, ERRORS[code].text);
  });
});

describe("the limits", () => {
  it("are positive whole numbers whose names end in max, bits or bytes", () => {
    for (const [name, value] of Object.entries(LIMITS)) {
      assert.ok(Number.isSafeInteger(value) && value > 0, name);
      assert.match(name, /(?:Max|Bits|Bytes)$/);
    }
  });

  it("leave room for each other: a sealed model of the largest size, its update, and the window of a session", () => {
    assert.ok(LIMITS.modelBytesMax > 4 * LIMITS.parametersMax);
    assert.ok(LIMITS.updateBytesMax > LIMITS.modelBytesMax);
    assert.ok(LIMITS.helloNonceMsMax >= 2 * LIMITS.clockSkewMsMax);
    assert.ok(LIMITS.sequenceWindowBits < LIMITS.sessionRecordsMax);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, toBase64Url, utf8 } from "../../../src/core/bytes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { formatToken, parseToken, type Token, tokenHash, tokenSecret } from "../../../src/wire/token.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const token: Token = {
  id: new Uint8Array(8).fill(1),
  secret: new Uint8Array(24).fill(2),
  fingerprint: new Uint8Array(32).fill(3),
  name: "hospital-a",
  url: "https://fl.example:8443",
};

/** A token with a good checksum over whatever body. */
function printed(body: Uint8Array): string {
  return `qflare1_${toBase64Url(concat(body, sha256(body).subarray(0, 4)))}`;
}

function withName(name: Uint8Array, url: string): string {
  return printed(concat(token.id, token.secret, token.fingerprint, Uint8Array.of(name.length), name, utf8(url)));
}

const names = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/, { size: "small" });
const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Uint8Array.from(b));

describe("an enrolment token", () => {
  it("of any ids, keys and names reads back, with space around it or without", () => {
    const tokens = fc.record({
      id: bytesOf(8),
      secret: bytesOf(24),
      fingerprint: bytesOf(32),
      name: names,
      url: fc.constantFrom(
        "https://localhost",
        "https://[::1]:8443",
        "https://10.0.0.1:65535",
        "https://a.b-c.example",
      ),
    });
    fc.assert(
      fc.property(tokens, fc.constantFrom("", " ", "\n", "\t \r\n"), (value, space) => {
        assert.deepEqual(parseToken(space + formatToken(value) + space), { ...value });
      }),
    );
  });

  it("is refused with any one character changed, left out or doubled", () => {
    const text = formatToken(token);
    for (let i = 0; i < text.length; i++) {
      for (const other of ["A", "b", "-", "_", "0", "=", " ", "é"]) {
        if (text[i] === other) continue;
        const changed = text.slice(0, i) + other + text.slice(i + 1);
        if (changed.trim() === text) continue;
        assert.throws(() => parseToken(changed), coded("enroll.refused"), changed);
      }
      assert.throws(() => parseToken(text.slice(0, i) + text.slice(i + 1)), coded("enroll.refused"));
      assert.throws(() => parseToken(text.slice(0, i) + text[i] + text.slice(i)), coded("enroll.refused"));
    }
  });

  it("tells a mistyped token from what is no token at all", () => {
    const text = formatToken(token);
    assert.throws(
      () => parseToken(`${text.slice(0, 30)}x${text.slice(31)}`),
      coded("enroll.refused", /mistyped or cut off/),
    );
    for (const wrong of [
      "",
      " ",
      "qflare1_",
      "qflare2_AAAA",
      text.slice(1),
      "qflare1_!",
      `qflare1_${"A".repeat(4000)}`,
    ]) {
      assert.throws(() => parseToken(wrong), coded("enroll.refused", /starts with qflare1_$/), wrong.slice(0, 40));
    }
  });

  it("is refused for a URL that is no bare https address, though its checksum holds", () => {
    assert.equal(parseToken(withName(utf8("a"), "https://h")).url, "https://h");
    const urls = [
      ...["", "http://h", "https://", "HTTPS://h", "https://h/path", "https://h?q", "https://h#f", "https://u@h"],
      ...[
        "https://u:p@h",
        "file:///etc/passwd",
        "https://h\n",
        " https://h",
        "https://h\0",
        "https://hé",
        "javascript:1",
      ],
      `https://${"h".repeat(LIMITS.urlLengthMax)}`,
    ];
    for (const url of urls) assert.throws(() => parseToken(withName(utf8("a"), url)), coded("enroll.refused"), url);
  });

  it("is refused for a name that no device may have", () => {
    const wrong = ["", "-a", ".a", "a b", "a/b", "../a", "a\n", "a\0", "é", "a".repeat(65)];
    for (const name of wrong) {
      assert.throws(() => parseToken(withName(utf8(name), "https://h")), coded("enroll.refused"), name);
    }
    for (const name of [Uint8Array.of(0xff), Uint8Array.of(0x61, 0xc3)]) {
      assert.throws(() => parseToken(withName(name, "https://h")), coded("enroll.refused"));
    }
    const tooFar = printed(concat(token.id, token.secret, token.fingerprint, Uint8Array.of(255), utf8("a")));
    assert.throws(() => parseToken(tooFar), coded("enroll.refused"));
  });

  it("of random bytes with a good checksum is refused with a code or reads", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 60, maxLength: 120 }), (body) => {
        try {
          assert.match(parseToken(printed(body)).url, /^https:/);
        } catch (error) {
          assert.ok(coded("enroll.refused")(error), String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the secret of a token", () => {
  it("follows from pepper and id alone, and its hash from the secret", () => {
    const secret = tokenSecret(new Uint8Array(32), token.id);
    assert.equal(secret.length, 24);
    assert.equal(hex(tokenSecret(new Uint8Array(32), token.id)), hex(secret));
    assert.notEqual(hex(tokenSecret(new Uint8Array(32).fill(1), token.id)), hex(secret));
    assert.notEqual(hex(tokenSecret(new Uint8Array(32), new Uint8Array(8))), hex(secret));
    assert.notEqual(hex(tokenHash(secret)), hex(tokenHash(token.secret)));
  });
});

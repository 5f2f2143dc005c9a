import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { SIGNATURE_SIZES, type SignatureName, signature } from "../../../src/crypto/signature.ts";
import { CONTEXTS, LABELS } from "../../../src/wire/labels.ts";
import { hex, hexes } from "./hex.ts";

const scheme = signature("ML-DSA-44");
const sizes = SIGNATURE_SIZES["ML-DSA-44"];
const message = Buffer.from("a message");
const { publicKey, secretKey } = scheme.generateKeyPair(new Uint8Array(32).fill(7));

describe("ML-DSA-44", () => {
  it("has the sizes of FIPS 204, and a seed for a secret key", () => {
    assert.deepEqual({ ...sizes }, { publicKey: 1312, secretKey: 32, signature: 2420 });
    const signed = scheme.sign(secretKey, message, "c");
    assert.deepEqual([publicKey.length, secretKey.length, signed.length], [1312, 32, 2420]);
  });

  it("lets nobody change its sizes", () => {
    for (const name of Object.keys(SIGNATURE_SIZES) as SignatureName[]) {
      const shown = signature(name).sizes;
      for (const member of Object.keys(shown)) assert.throws(() => Object.assign(shown, { [member]: 1 }), TypeError);
      assert.throws(() => Object.assign(signature(name), { sizes: { ...shown, publicKey: 1 } }), TypeError);
    }
    assert.equal(signature("ML-DSA-44").sizes.publicKey, 1312);
  });

  it("makes the same pair from the same seed, a copy of it, and another from another", () => {
    const seed = new Uint8Array(32).fill(7);
    const pair = scheme.generateKeyPair(seed);
    assert.deepEqual(hexes(pair), hexes({ publicKey, secretKey }));
    assert.notEqual(pair.secretKey, seed);
    assert.notEqual(hex(scheme.generateKeyPair(new Uint8Array(32).fill(8)).publicKey), hex(publicKey));
    assert.notEqual(hex(scheme.generateKeyPair().publicKey), hex(scheme.generateKeyPair().publicKey));
  });

  it("hedges: two signatures over the same differ, and both hold", () => {
    const [a, b] = [scheme.sign(secretKey, message, "c"), scheme.sign(secretKey, message, "c")];
    assert.notEqual(hex(a), hex(b));
    for (const signed of [a, b]) assert.ok(scheme.verify(publicKey, message, signed, "c"));
  });

  it("holds under no other context, message, key or bit", () => {
    const signed = scheme.sign(secretKey, message, "qflare/v1 hs1");
    for (const context of ["qflare/v1 hs2", "qflare/v1 hs", "qflare/v1 hs1 ", ""]) {
      assert.equal(scheme.verify(publicKey, message, signed, context), false);
    }
    assert.equal(scheme.verify(publicKey, Buffer.from("a messagf"), signed, "qflare/v1 hs1"), false);
    assert.equal(scheme.verify(scheme.generateKeyPair().publicKey, message, signed, "qflare/v1 hs1"), false);
    for (let at = 0; at < signed.length; at += 61) {
      const altered = signed.slice();
      altered[at] ^= 1 << (at % 8);
      assert.equal(scheme.verify(publicKey, message, altered, "qflare/v1 hs1"), false, `byte ${at}`);
    }
  });

  it("moves nothing between context and message", () => {
    const signed = scheme.sign(secretKey, Buffer.from("bc"), "a");
    assert.equal(scheme.verify(publicKey, Buffer.from("c"), signed, "ab"), false);
    assert.equal(scheme.verify(publicKey, Buffer.from("abc"), signed, ""), false);
  });

  it("answers false to every wrong length, and to bytes that are no key", () => {
    const signed = scheme.sign(secretKey, message, "c");
    for (const length of [0, 1, 2419, 2421]) {
      assert.equal(scheme.verify(publicKey, message, new Uint8Array(length), "c"), false);
    }
    for (const length of [0, 32, 1311, 1313]) {
      assert.equal(scheme.verify(new Uint8Array(length), message, signed, "c"), false);
    }
    for (const fill of [0, 255])
      assert.equal(scheme.verify(new Uint8Array(1312).fill(fill), message, signed, "c"), false);
  });

  it("answers false to a context longer than any signature has, and signs under none", () => {
    const signed = scheme.sign(secretKey, message, "c".repeat(255));
    assert.equal(scheme.verify(publicKey, message, signed, "c".repeat(255)), true);
    for (const context of ["c".repeat(256), "\u00e9".repeat(128), "c".repeat(255 + 256)]) {
      assert.equal(scheme.verify(publicKey, message, signed, context), false);
      assert.throws(() => scheme.sign(secretKey, message, context), RangeError);
    }
  });

  it("refuses a seed of another length and a scheme that is not offered as mistakes of the program", () => {
    for (const length of [0, 31, 33, 2560]) {
      assert.throws(() => scheme.sign(new Uint8Array(length), message, "c"), RangeError);
      assert.throws(() => scheme.generateKeyPair(new Uint8Array(length)), RangeError);
    }
    assert.throws(() => signature("ML-DSA-512" as SignatureName), TypeError);
  });
});

/** Nothing of it is bytes, whatever a program without types passes. */
const NO_BYTES: readonly unknown[] = [
  ...["x".repeat(32), { length: 32 }, Array.from({ length: 32 }, () => 7), new Uint16Array(32).fill(0x107)],
  ...[new ArrayBuffer(32), new DataView(new ArrayBuffer(32)), 32, null],
];
const NO_TEXT: readonly unknown[] = [undefined, null, 7, utf8("c"), ["c"], new String("c")];
const noBytes = (name: string) => new TypeError(`Cannot use ${name}: expected a Uint8Array`);

describe("what is given to a signature scheme", () => {
  const signed = scheme.sign(secretKey, message, "c");

  it("must be bytes where it is a seed or a secret key: nothing else makes a key", () => {
    for (const wrong of NO_BYTES as Uint8Array[]) {
      assert.throws(() => scheme.generateKeyPair(wrong), noBytes("seed"));
      assert.throws(() => scheme.sign(wrong, message, "c"), noBytes("secret key"));
    }
    assert.throws(() => scheme.sign(undefined as unknown as Uint8Array, message, "c"), noBytes("secret key"));
  });

  it("must be bytes where it is a message, a public key or a signature", () => {
    for (const wrong of [...NO_BYTES, undefined] as Uint8Array[]) {
      assert.throws(() => scheme.sign(secretKey, wrong, "c"), noBytes("message"));
      assert.throws(() => scheme.verify(publicKey, wrong, signed, "c"), noBytes("message"));
      assert.throws(() => scheme.verify(wrong, message, signed, "c"), noBytes("public key"));
      assert.throws(() => scheme.verify(publicKey, message, wrong, "c"), noBytes("signature"));
    }
  });

  it("must be text where it is a context", () => {
    const refusal = new TypeError("Cannot use context: expected a string");
    for (const wrong of NO_TEXT as string[]) {
      assert.throws(() => scheme.sign(secretKey, message, wrong), refusal);
      assert.throws(() => scheme.verify(publicKey, message, signed, wrong), refusal);
      assert.throws(() => scheme.verify(new Uint8Array(3), message, signed, wrong), refusal);
    }
  });

  it("may be a Buffer, or a view into the middle of one", () => {
    const key = Buffer.from(publicKey);
    const inside = Buffer.concat([Buffer.of(1), secretKey, Buffer.of(2)]).subarray(1, 33);
    assert.ok(scheme.verify(key, message, Buffer.from(scheme.sign(inside, message, "c")), "c"));
    assert.deepEqual(hexes(scheme.generateKeyPair(inside)), hexes({ publicKey, secretKey }));
  });
});

describe("the table of domain separation", () => {
  it("gives each use a text of its own that fits a context", () => {
    const texts = [...Object.values(CONTEXTS), ...Object.values(LABELS)];
    assert.equal(new Set(texts).size, texts.length);
    for (const text of texts) assert.ok(text.startsWith("qflare/v1 ") && text.length < 64, text);
  });
});

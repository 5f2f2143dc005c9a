import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/core/bytes.ts";
import { openAead, sealAead } from "../../src/crypto/aead.ts";
import { SHA384_BYTES } from "../../src/crypto/hash.ts";
import { expand, extract } from "../../src/crypto/hkdf.ts";
import { kemSizes } from "../../src/crypto/kem-sizes.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { SIGNATURE_SIZES, signature } from "../../src/crypto/signature.ts";
import { hex } from "../unit/crypto/hex.ts";
import { label, readGroups, unhex } from "./wycheproof.ts";

const scheme = signature("ML-DSA-44");

test("AES-256-GCM opens the valid Wycheproof cases and none of the others", () => {
  const groups = readGroups("aes_gcm_test").filter(
    ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128,
  );
  const counts = { valid: 0, invalid: 0, acceptable: 0 };
  for (const vector of groups.flatMap(({ tests }) => tests)) {
    const [key, iv, aad, msg, ct, tag] = ["key", "iv", "aad", "msg", "ct", "tag"].map((name) => unhex(vector[name]));
    const opened = openAead(key, iv, aad, concat(ct, tag));
    if (vector.result === "valid") {
      assert.equal(opened === undefined ? undefined : hex(opened), hex(msg), label(vector));
      assert.equal(hex(sealAead(key, iv, aad, msg)), hex(concat(ct, tag)), label(vector));
    } else {
      assert.equal(opened, undefined, label(vector));
    }
    counts[vector.result]++;
  }
  assert.deepEqual(counts, { valid: 39, invalid: 27, acceptable: 0 });
});

test("HKDF-SHA-384 derives what Wycheproof expects, and nothing longer than 255 blocks", () => {
  const counts = { valid: 0, invalid: 0, acceptable: 0 };
  for (const vector of readGroups("hkdf_sha384_test").flatMap(({ tests }) => tests)) {
    const length = vector.size as number;
    const derive = () => expand(extract(unhex(vector.salt), unhex(vector.ikm)), unhex(vector.info), length);
    if (vector.result === "valid") assert.equal(hex(derive()), vector.okm, label(vector));
    else assert.throws(derive, RangeError, label(vector));
    if (vector.result === "invalid") assert.ok(length > 255 * SHA384_BYTES, label(vector));
    counts[vector.result]++;
  }
  assert.deepEqual(counts, { valid: 80, invalid: 3, acceptable: 0 });
});

/** Contexts of the protocol are text; undefined for a context that is not. */
function contextOf(hexText: unknown): string | undefined {
  const bytes = hexText === undefined ? new Uint8Array(0) : unhex(hexText);
  const text = Buffer.from(bytes).toString();
  return hex(Buffer.from(text)) === hex(bytes) ? text : undefined;
}

test("ML-DSA-44 verifies the valid Wycheproof signatures and none of the others", () => {
  const counts = { valid: 0, invalid: 0, acceptable: 0, tooLong: 0 };
  for (const group of readGroups("mldsa_44_verify_test")) {
    const publicKey = unhex(group.publicKey);
    for (const vector of group.tests) {
      const context = contextOf(vector.ctx);
      assert.ok(context !== undefined, label(vector));
      const verify = () => scheme.verify(publicKey, unhex(vector.msg), unhex(vector.sig), context);
      if (context.length > 255) {
        // Contexts are constants of the program: a mistake there is not the sender's.
        assert.throws(verify, RangeError, label(vector));
        counts.tooLong++;
        continue;
      }
      assert.equal(verify(), vector.result === "valid", label(vector));
      counts[vector.result]++;
    }
  }
  assert.deepEqual(counts, { valid: 77, invalid: 98, acceptable: 0, tooLong: 5 });
});

test("ML-DSA-44 makes the public keys of the Wycheproof seeds, and signatures that verify", () => {
  const counts = { valid: 0, seedsRefused: 0, tooLong: 0, external: 0, binary: 0 };
  for (const group of readGroups("mldsa_44_sign_seed_test")) {
    const seed = unhex(group.privateSeed);
    for (const vector of group.tests) {
      if (seed.length !== SIGNATURE_SIZES["ML-DSA-44"].secretKey) {
        assert.equal(vector.result, "invalid");
        assert.throws(() => scheme.generateKeyPair(seed), RangeError, label(vector));
        counts.seedsRefused++;
        continue;
      }
      const { publicKey, secretKey } = scheme.generateKeyPair(seed);
      assert.equal(hex(publicKey), group.publicKey, label(vector));
      const context = contextOf(vector.ctx);
      if (vector.msg === undefined) counts.external++;
      else if (context === undefined) counts.binary++;
      else if (context.length > 255) {
        assert.throws(() => scheme.sign(secretKey, unhex(vector.msg), context), RangeError, label(vector));
        counts.tooLong++;
      } else {
        const message = unhex(vector.msg);
        assert.ok(scheme.verify(publicKey, message, unhex(vector.sig), context), label(vector));
        const ours = scheme.sign(secretKey, message, context);
        assert.ok(scheme.verify(publicKey, message, ours, context), label(vector));
        counts.valid++;
      }
    }
  }
  assert.deepEqual(counts, { valid: 73, seedsRefused: 3, tooLong: 1, external: 8, binary: 1 });
});

test("ML-KEM-768 makes the keys of the Wycheproof seeds and opens ciphertexts to the secrets expected", async () => {
  const { generateKeyPair, decapsulate, encapsulate } = kem("ML-KEM-768");
  const sizes = kemSizes("ML-KEM-768");
  const counts = { valid: 0, invalid: 0, acceptable: 0 };
  for (const vector of readGroups("mlkem_768_test").flatMap(({ tests }) => tests)) {
    const [seed, ciphertext] = [unhex(vector.seed), unhex(vector.c)];
    if (vector.result === "valid") {
      const { publicKey, secretKey } = await generateKeyPair(seed);
      assert.equal(hex(publicKey), vector.ek, label(vector));
      assert.equal(hex(await decapsulate(secretKey, ciphertext)), vector.K, label(vector));
      const fresh = await encapsulate(publicKey);
      assert.equal(hex(await decapsulate(secretKey, fresh.ciphertext)), hex(fresh.sharedSecret), label(vector));
    } else if (seed.length !== sizes.secretKey) {
      await assert.rejects(generateKeyPair(seed), RangeError, label(vector));
      await assert.rejects(decapsulate(seed, ciphertext), RangeError, label(vector));
    } else {
      await assert.rejects(decapsulate(seed, ciphertext), { code: "kem.length" }, label(vector));
    }
    counts[vector.result]++;
  }
  assert.deepEqual(counts, { valid: 153, invalid: 40, acceptable: 0 });
});

/** FIPS 203 section 7.2: every coefficient must be under q = 3329. */
test("ML-KEM-768 encapsulates to no public key with one coefficient of q or more, wherever it is", async () => {
  const { publicKey } = await kem("ML-KEM-768").generateKeyPair();
  const coefficients = 3 * 256;
  for (const place of [0, 1, 255, 256, coefficients - 1]) {
    for (const value of [3329, 4095]) {
      const altered = publicKey.slice();
      setCoefficient(altered, place, value);
      await assert.rejects(kem("ML-KEM-768").encapsulate(altered), { code: "kem.public_key" }, `${place}: ${value}`);
    }
    setCoefficient(publicKey, place, 3328);
    await assert.doesNotReject(kem("ML-KEM-768").encapsulate(publicKey));
  }
});

/** 12 bits each, little-endian: two coefficients in three bytes. */
function setCoefficient(publicKey: Uint8Array, place: number, value: number): void {
  const at = 3 * (place >> 1);
  if (place % 2 === 0) {
    publicKey[at] = value & 255;
    publicKey[at + 1] = (publicKey[at + 1] & 0xf0) | (value >> 8);
  } else {
    publicKey[at + 1] = (publicKey[at + 1] & 0x0f) | ((value & 15) << 4);
    publicKey[at + 2] = value >> 4;
  }
}

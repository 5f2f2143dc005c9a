import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/core/bytes.ts";
import { openAead, sealAead } from "../../src/crypto/aead.ts";
import { SHA384_BYTES } from "../../src/crypto/hash.ts";
import { expand, extract } from "../../src/crypto/hkdf.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { MlKem } from "../../src/crypto/ml-kem.ts";
import { PLATFORM as NATIVE } from "../../src/crypto/native-platform.ts";
import { MlDsa, type SignatureName, type SignatureScheme } from "../../src/crypto/signature.ts";
import { PLATFORM as WEB } from "../../src/crypto/web-platform.ts";
import { hex } from "../unit/crypto/hex.ts";
import { type Case, label, readGroups, unhex } from "./wycheproof.ts";

const PLATFORMS = [
  ["of Node", NATIVE],
  ["of browsers", WEB],
] as const;

for (const [where, platform] of PLATFORMS) {
  test(`the cipher of chunks ${where} opens the valid Wycheproof cases without associated data`, async () => {
    const counts = { valid: 0, invalid: 0, acceptable: 0 };
    const groups = readGroups("aes_gcm_test").filter(
      ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128,
    );
    for (const vector of groups.flatMap(({ tests }) => tests).filter(({ aad }) => aad === "")) {
      const cipher = await platform.chunkCipher(unhex(vector.key));
      const sealed = concat(unhex(vector.ct), unhex(vector.tag));
      const opened = await cipher.open(unhex(vector.iv), sealed);
      assert.equal(opened && hex(opened), vector.result === "valid" ? vector.msg : undefined, label(vector));
      if (vector.result === "valid")
        assert.equal(hex(await cipher.seal(unhex(vector.iv), unhex(vector.msg))), hex(sealed));
      counts[vector.result]++;
    }
    assert.ok(counts.valid > 10 && counts.acceptable === 0, JSON.stringify(counts));
  });

  test(`HKDF-SHA-384 ${where} derives in one call what Wycheproof expects`, () => {
    const vectors = readGroups("hkdf_sha384_test").flatMap(({ tests }) => tests);
    for (const vector of vectors.filter(({ result }) => result === "valid")) {
      const [ikm, salt, info] = [unhex(vector.ikm), unhex(vector.salt), unhex(vector.info)];
      assert.equal(hex(platform.hkdf("sha384", ikm, salt, info, vector.size as number)), vector.okm, label(vector));
    }
  });
}

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

interface VerifyCounts {
  readonly valid: number;
  readonly invalid: number;
}

/** Each file twice: by node:crypto and by the browser's platform. */
function verifies(name: SignatureName, file: string, expected: VerifyCounts): void {
  for (const [where, scheme] of schemesOf(name)) {
    test(`${name} ${where} verifies the valid Wycheproof signatures and none of the others`, () => {
      const counts = { valid: 0, invalid: 0 };
      for (const { publicKey, tests } of readGroups(file)) {
        for (const vector of tests) counts[verifyCase(scheme, unhex(publicKey), vector)]++;
      }
      assert.deepEqual(counts, expected);
    });
  }
}

function verifyCase(scheme: SignatureScheme, publicKey: Uint8Array, vector: Case): keyof VerifyCounts {
  const context = contextOf(vector.ctx);
  assert.ok(context !== undefined && vector.result !== "acceptable", label(vector));
  const isValid = scheme.verify(publicKey, unhex(vector.msg), unhex(vector.sig), context);
  assert.equal(isValid, vector.result === "valid", label(vector));
  return vector.result;
}

function schemesOf(name: SignatureName): [string, SignatureScheme][] {
  return [
    ["of Node", new MlDsa(name, NATIVE.mlDsa(name))],
    ["of browsers", new MlDsa(name, WEB.mlDsa(name))],
  ];
}

verifies("ML-DSA-44", "mldsa_44_verify_test", { valid: 77, invalid: 103 });
verifies("ML-DSA-65", "mldsa_65_verify_test", { valid: 79, invalid: 131 });
verifies("ML-DSA-87", "mldsa_87_verify_test", { valid: 71, invalid: 170 });

interface SignCounts {
  readonly valid: number;
  readonly seedsRefused: number;
  readonly tooLong: number;
  /** Cases of the inner function that takes a hash instead of a message. */
  readonly external: number;
  readonly binary: number;
}

function signs(name: SignatureName, file: string, expected: SignCounts): void {
  for (const [where, scheme] of schemesOf(name)) {
    test(`${name} ${where} makes the public keys of the Wycheproof seeds, and signatures that verify`, () => {
      const counts = { valid: 0, seedsRefused: 0, tooLong: 0, external: 0, binary: 0 };
      for (const { privateSeed, publicKey, tests } of readGroups(file)) {
        const seed = unhex(privateSeed);
        if (seed.length === scheme.sizes.secretKey) {
          assert.equal(hex(scheme.generateKeyPair(seed).publicKey), publicKey);
        }
        for (const vector of tests) counts[signCase(scheme, seed, vector)]++;
      }
      assert.deepEqual(counts, expected);
    });
  }
}

/** One fresh signature in eight: those of the browser's platform take ten milliseconds each. */
const SIGNED_ONE_IN = 8;

function signCase(scheme: SignatureScheme, seed: Uint8Array, vector: Case): keyof SignCounts {
  if (seed.length !== scheme.sizes.secretKey) {
    assert.equal(vector.result, "invalid");
    assert.throws(() => scheme.generateKeyPair(seed), RangeError, label(vector));
    return "seedsRefused";
  }
  const context = contextOf(vector.ctx);
  if (vector.msg === undefined) return "external";
  if (context === undefined) return "binary";
  const message = unhex(vector.msg);
  if (context.length > 255) {
    assert.throws(() => scheme.sign(seed, message, context), RangeError, label(vector));
    return "tooLong";
  }
  const { publicKey } = scheme.generateKeyPair(seed);
  assert.ok(scheme.verify(publicKey, message, unhex(vector.sig), context), label(vector));
  if (vector.tcId % SIGNED_ONE_IN === 0) {
    const ours = scheme.sign(seed, message, context);
    assert.ok(scheme.verify(publicKey, message, ours, context), label(vector));
  }
  return "valid";
}

signs("ML-DSA-44", "mldsa_44_sign_seed_test", { valid: 73, seedsRefused: 3, tooLong: 1, external: 8, binary: 1 });
signs("ML-DSA-65", "mldsa_65_sign_seed_test", { valid: 83, seedsRefused: 3, tooLong: 1, external: 17, binary: 1 });
signs("ML-DSA-87", "mldsa_87_sign_seed_test", { valid: 74, seedsRefused: 3, tooLong: 1, external: 17, binary: 1 });

for (const name of ["ML-KEM-768", "ML-KEM-1024"] as const) {
  for (const [where, platform] of PLATFORMS) {
    test(`${name} ${where} makes the keys of the Wycheproof seeds and opens ciphertexts to their secrets`, () => {
      const engine = new MlKem(name, platform.mlKem());
      const counts = { valid: 0, invalid: 0, acceptable: 0 };
      const file = `${name.replace("-", "").replace("-", "_").toLowerCase()}_test`;
      for (const vector of readGroups(file).flatMap(({ tests }) => tests)) {
        openCase(engine, vector);
        counts[vector.result]++;
      }
      assert.deepEqual(counts, { valid: 153, invalid: 40, acceptable: 0 });
    });
  }
}

function openCase(engine: MlKem, vector: Case): void {
  const [seed, ciphertext] = [unhex(vector.seed), unhex(vector.c)];
  if (vector.result === "valid") {
    const { publicKey, secretKey } = engine.generateKeyPair(seed);
    assert.equal(hex(publicKey), vector.ek, label(vector));
    assert.equal(hex(engine.decapsulate(secretKey, ciphertext)), vector.K, label(vector));
    const fresh = engine.encapsulate(publicKey);
    assert.equal(hex(engine.decapsulate(secretKey, fresh.ciphertext)), hex(fresh.sharedSecret), label(vector));
  } else if (seed.length !== engine.sizes.secretKey) {
    assert.throws(() => engine.generateKeyPair(seed), RangeError, label(vector));
    assert.throws(() => engine.decapsulate(seed, ciphertext), RangeError, label(vector));
  } else {
    assert.throws(() => engine.decapsulate(seed, ciphertext), { code: "kem.length" }, label(vector));
  }
}

const ENCAPSULATIONS = {
  "ML-KEM-768": { file: "mlkem_768_encaps_test", expected: { valid: 133, invalid: 132, acceptable: 0 } },
  "ML-KEM-1024": { file: "mlkem_1024_encaps_test", expected: { valid: 133, invalid: 136, acceptable: 0 } },
} as const;

for (const name of ["ML-KEM-768", "ML-KEM-1024"] as const) {
  for (const [where, platform] of PLATFORMS) {
    test(`${name} ${where} encapsulates as Wycheproof does under its randomness, and to no key that is none`, () => {
      const engine = new MlKem(name, platform.mlKem());
      const counts = { valid: 0, invalid: 0, acceptable: 0 };
      const { file, expected } = ENCAPSULATIONS[name];
      for (const vector of readGroups(file).flatMap(({ tests }) => tests)) {
        const encapsulate = () => engine.encapsulate(unhex(vector.ek), unhex(vector.m));
        if (vector.result === "valid") {
          const { ciphertext, sharedSecret } = encapsulate();
          assert.deepEqual([hex(ciphertext), hex(sharedSecret)], [vector.c, vector.K], label(vector));
        } else {
          const isKeyLength = unhex(vector.ek).length === engine.sizes.publicKey;
          assert.throws(encapsulate, { code: isKeyLength ? "kem.public_key" : "kem.length" }, label(vector));
        }
        counts[vector.result]++;
      }
      assert.deepEqual(counts, expected);
    });
  }
}

for (const [where, platform] of PLATFORMS) {
  test(`X25519 ${where} computes what Wycheproof expects, and nothing with a point of small order`, async () => {
    const counts = { valid: 0, invalid: 0, acceptable: 0, zero: 0 };
    for (const vector of readGroups("x25519_test").flatMap(({ tests }) => tests)) {
      const shared = await platform.x25519().shared(unhex(vector.private), unhex(vector.public));
      const isZero = vector.flags.includes("ZeroSharedSecret");
      assert.equal(shared === undefined ? undefined : hex(shared), isZero ? undefined : vector.shared, label(vector));
      counts[isZero ? "zero" : vector.result]++;
    }
    assert.deepEqual(counts, { valid: 264, invalid: 0, acceptable: 223, zero: 31 });
  });
}

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

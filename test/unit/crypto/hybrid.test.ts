import assert from "node:assert/strict";
import { createHmac, createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { describe, it } from "node:test";
import { concat, lengthPrefixed, utf8 } from "../../../src/core/bytes.ts";
import { kem } from "../../../src/crypto/kem-table.ts";
import { exchangeKem, exchangeSizes } from "../../../src/crypto/suite.ts";
import { hex } from "./hex.ts";

/** RFC 7748 section 6.1 and the table of low-order points in "May the Fourth" (Cremers, Jackson, EuroS&P 2019). */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const out = new Uint8Array(bytes);
  out[at] ^= 1;
  return out;
}

/** One block of HKDF is one HMAC. */
function hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  return createHmac("sha384", key).update(Buffer.concat(parts)).digest();
}

/** X25519 of node's own, on raw keys. */
function x25519(secret: Uint8Array, peer: Uint8Array): Uint8Array {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), secret]);
  const spki = Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), peer]);
  return diffieHellman({
    privateKey: createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }),
    publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }),
  });
}

for (const name of ["X25519+ML-KEM-768", "X25519+FrodoKEM-640-AES"] as const) {
  const hybrid = exchangeKem(name);
  const postQuantum = kem(name === "X25519+ML-KEM-768" ? "ML-KEM-768" : "FrodoKEM-640-AES");

  describe(name, () => {
    it("agrees on a secret, with the sizes of X25519 and of the other added up", async () => {
      const { publicKey, secretKey } = await hybrid.generateKeyPair();
      const { ciphertext, sharedSecret } = await hybrid.encapsulate(publicKey);
      assert.equal(hex(await hybrid.decapsulate(secretKey, ciphertext)), hex(sharedSecret));
      const sizes = { publicKey: publicKey.length, ciphertext: ciphertext.length, sharedSecret: sharedSecret.length };
      assert.deepEqual(sizes, { ...exchangeSizes(name) });
      assert.equal(publicKey.length, 32 + postQuantum.sizes.publicKey);
      assert.equal(ciphertext.length, 32 + postQuantum.sizes.ciphertext);
      assert.equal(secretKey.length, 32 + postQuantum.sizes.secretKey + publicKey.length);
    });

    it("combines as described: HKDF over both secrets, bound to name, ciphertexts and public keys", async () => {
      const { publicKey, secretKey } = await hybrid.generateKeyPair();
      const { ciphertext, sharedSecret } = await hybrid.encapsulate(publicKey);
      const classical = x25519(secretKey.subarray(0, 32), ciphertext.subarray(0, 32));
      const pqSecretKey = secretKey.slice(32, 32 + postQuantum.sizes.secretKey);
      const quantum = await postQuantum.decapsulate(pqSecretKey, ciphertext.slice(32));
      const info = lengthPrefixed(utf8("qflare/v1 hybrid"), utf8(name), ciphertext, publicKey);
      const root = hmac(new Uint8Array(48), lengthPrefixed(classical, quantum));
      assert.equal(hex(sharedSecret), hex(hmac(root, info, Uint8Array.of(1)).subarray(0, 32)));
    });

    it("gives another secret where either half of the ciphertext was altered", async () => {
      const { publicKey, secretKey } = await hybrid.generateKeyPair();
      const { ciphertext, sharedSecret } = await hybrid.encapsulate(publicKey);
      for (const at of [0, 15, 32, 33, ciphertext.length >> 1, ciphertext.length - 1]) {
        const other = await hybrid.decapsulate(secretKey, flipped(ciphertext, at));
        assert.notEqual(hex(other), hex(sharedSecret), `byte ${at}`);
      }
    });

    it("gives another secret where a half comes from another encapsulation to the same key", async () => {
      const { publicKey, secretKey } = await hybrid.generateKeyPair();
      const [a, b] = [await hybrid.encapsulate(publicKey), await hybrid.encapsulate(publicKey)];
      const mixed = concat(a.ciphertext.subarray(0, 32), b.ciphertext.subarray(32));
      const secrets = [a.sharedSecret, b.sharedSecret, await hybrid.decapsulate(secretKey, mixed)].map(hex);
      assert.equal(new Set(secrets).size, 3);
    });

    it("gives another secret to who holds one half of the secret key alone", async () => {
      const [own, other] = [await hybrid.generateKeyPair(), await hybrid.generateKeyPair()];
      const { ciphertext, sharedSecret } = await hybrid.encapsulate(own.publicKey);
      const edge = 32 + postQuantum.sizes.secretKey;
      const classicalOnly = concat(own.secretKey.subarray(0, 32), other.secretKey.subarray(32, edge), own.publicKey);
      const quantumOnly = concat(other.secretKey.subarray(0, 32), own.secretKey.subarray(32));
      for (const partial of [classicalOnly, quantumOnly]) {
        assert.notEqual(hex(await hybrid.decapsulate(partial, ciphertext)), hex(sharedSecret));
      }
    });

    it("refuses X25519 points of small order from either side with a code", async () => {
      const { publicKey, secretKey } = await hybrid.generateKeyPair();
      const { ciphertext } = await hybrid.encapsulate(publicKey);
      for (const point of SMALL_ORDER) {
        const bytes = Buffer.from(point, "hex");
        const key = concat(bytes, publicKey.subarray(32));
        await assert.rejects(hybrid.encapsulate(key), { code: "message.malformed" }, point);
        const forged = concat(bytes, ciphertext.subarray(32));
        await assert.rejects(hybrid.decapsulate(secretKey, forged), { code: "message.malformed" }, point);
      }
    });

    it("refuses wrong sizes, and keeps its inputs as they were", async () => {
      const { publicKey, secretKey } = await hybrid.generateKeyPair();
      const { ciphertext } = await hybrid.encapsulate(publicKey);
      const before = [publicKey, secretKey, ciphertext].map(hex);
      await hybrid.decapsulate(secretKey, ciphertext);
      assert.deepEqual([publicKey, secretKey, ciphertext].map(hex), before);
      await assert.rejects(hybrid.encapsulate(publicKey.subarray(1)), RangeError);
      await assert.rejects(hybrid.decapsulate(secretKey, ciphertext.subarray(1)), RangeError);
      await assert.rejects(hybrid.decapsulate(secretKey.subarray(1), ciphertext), RangeError);
    });
  });
}

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { KemName } from "../../../src/crypto/kem.ts";
import { kemSizes } from "../../../src/crypto/kem-sizes.ts";
import { kem, kemNames, syncKem } from "../../../src/crypto/kem-table.ts";
import { hex, hexes } from "./hex.ts";

for (const name of kemNames()) {
  const { sizes, generateKeyPair, encapsulate, decapsulate } = kem(name);

  test(`${name} agrees on a secret with the sizes it declares`, async () => {
    const { publicKey, secretKey } = await generateKeyPair();
    const { ciphertext, sharedSecret } = await encapsulate(publicKey);
    const lengths = [publicKey, secretKey, ciphertext, sharedSecret].map(({ length }) => length);
    assert.deepEqual(lengths, [sizes.publicKey, sizes.secretKey, sizes.ciphertext, sizes.sharedSecret]);
    assert.equal(hex(await decapsulate(secretKey, ciphertext)), hex(sharedSecret));
  });

  test(`${name} shows the sizes of the interface alone, and lets nobody change them`, async () => {
    const members = ["publicKey", "secretKey", "ciphertext", "sharedSecret", "keygenRandomness", "encapsRandomness"];
    for (const shown of [sizes, syncKem(name).sizes, kemSizes(name)]) {
      assert.deepEqual(Object.keys(shown), members);
      for (const member of members) assert.throws(() => Object.assign(shown, { [member]: 1 }), TypeError);
    }
    assert.deepEqual(kem(name).sizes, sizes);
    assert.equal((await generateKeyPair()).publicKey.length, sizes.publicKey);
  });

  test(`${name} generates the key that its randomness determines`, async () => {
    const randomness = randomBytes(sizes.keygenRandomness);
    const copy = hex(randomness);
    const pair = await generateKeyPair(randomness);
    assert.deepEqual(hexes(await generateKeyPair(Buffer.from(copy, "hex"))), hexes(pair));
    assert.equal(hex(randomness), copy);
  });

  test(`${name} encapsulates what its randomness determines, and leaves the randomness as it was`, async () => {
    const { publicKey, secretKey } = await generateKeyPair();
    const randomness = randomBytes(sizes.encapsRandomness);
    const copy = hex(randomness);
    const made = await encapsulate(publicKey, randomness);
    assert.deepEqual(hexes(await encapsulate(publicKey, Uint8Array.from(Buffer.from(copy, "hex")))), hexes(made));
    assert.notEqual(hex((await encapsulate(publicKey, randomness.fill(7))).ciphertext), hex(made.ciphertext));
    assert.equal(hex(await decapsulate(secretKey, made.ciphertext)), hex(made.sharedSecret));
    assert.equal(hex(randomness), "07".repeat(sizes.encapsRandomness));
  });

  test(`${name} answers a forged ciphertext with a secret that is always the same`, async () => {
    const { publicKey, secretKey } = await generateKeyPair();
    const { ciphertext, sharedSecret } = await encapsulate(publicKey);
    for (const forged of [flipped(ciphertext), randomBytes(sizes.ciphertext), new Uint8Array(sizes.ciphertext)]) {
      const rejected = hex(await decapsulate(secretKey, forged));
      assert.notEqual(rejected, hex(sharedSecret));
      assert.equal(hex(await decapsulate(secretKey, forged)), rejected);
    }
  });

  test(`${name} refuses what a peer sent in the wrong size with a code`, async () => {
    const { publicKey, secretKey } = await generateKeyPair();
    for (const length of [0, sizes.publicKey - 1, sizes.publicKey + 1]) {
      await assert.rejects(encapsulate(new Uint8Array(length)), { name: "QflareError", code: "kem.length" });
    }
    const { ciphertext } = await encapsulate(publicKey);
    for (const received of [new Uint8Array(0), ciphertext.subarray(1), new Uint8Array(sizes.ciphertext + 1)]) {
      await assert.rejects(decapsulate(secretKey, received), { name: "QflareError", code: "kem.length" });
    }
  });

  test(`${name} refuses own input in the wrong size or type as a mistake of the program`, async () => {
    const { publicKey, secretKey } = await generateKeyPair();
    const { ciphertext } = await encapsulate(publicKey);
    await assert.rejects(decapsulate(secretKey.subarray(1), ciphertext), RangeError);
    await assert.rejects(generateKeyPair(new Uint8Array(sizes.keygenRandomness - 1)), RangeError);
    for (const length of [0, sizes.encapsRandomness - 1, sizes.encapsRandomness + 1]) {
      await assert.rejects(encapsulate(publicKey, new Uint8Array(length)), RangeError);
    }
    for (const wrong of ["r".repeat(sizes.encapsRandomness), null] as unknown as Uint8Array[]) {
      await assert.rejects(encapsulate(publicKey, wrong), TypeError);
      await assert.rejects(generateKeyPair(wrong), TypeError);
    }
    await assert.rejects(encapsulate("key" as unknown as Uint8Array), TypeError);
    await assert.rejects(decapsulate(secretKey, [] as unknown as Uint8Array), TypeError);
  });

  test(`${name} keeps operations apart that are asked for at the same time`, async () => {
    const keys = await Promise.all(Array.from({ length: 6 }, () => generateKeyPair()));
    const sealed = await Promise.all([...keys, ...keys].map(({ publicKey }) => encapsulate(publicKey)));
    const opened = await Promise.all(sealed.map(({ ciphertext }, i) => decapsulate(keys[i % 6].secretKey, ciphertext)));
    assert.deepEqual(
      opened.map(hex),
      sealed.map(({ sharedSecret }) => hex(sharedSecret)),
    );
  });

  test(`${name} has one engine, synchronous or not`, async () => {
    assert.equal(syncKem(name), syncKem(name));
    const { publicKey, secretKey } = syncKem(name).generateKeyPair();
    const { ciphertext, sharedSecret } = await encapsulate(publicKey);
    assert.equal(hex(syncKem(name).decapsulate(secretKey, ciphertext)), hex(sharedSecret));
  });
}

function flipped(ciphertext: Uint8Array): Uint8Array {
  const out = ciphertext.slice();
  out[3] ^= 4;
  return out;
}

test("ML-KEM refuses a public key with a coefficient of q or more", async () => {
  for (const name of ["ML-KEM-768", "ML-KEM-1024"] as const) {
    const publicKey = new Uint8Array(kem(name).sizes.publicKey).fill(255);
    for (const randomness of [undefined, new Uint8Array(32)]) {
      const made = kem(name).encapsulate(publicKey, randomness);
      await assert.rejects(made, { name: "QflareError", code: "kem.public_key" });
    }
  }
});

test("a name that is not in the table is refused, and the message lists those that are", () => {
  for (const name of ["FrodoKEM-640", "toString", ""]) {
    assert.throws(() => kem(name as KemName), /RangeError: Cannot use KEM: expected one of FrodoKEM-640-AES, /);
  }
});

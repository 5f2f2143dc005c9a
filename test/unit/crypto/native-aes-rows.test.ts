import assert from "node:assert/strict";
import { createCipheriv, randomBytes } from "node:crypto";
import { test } from "node:test";
import { type BlockCipher, ecb, nativeAesRows, xtsAsEcb } from "../../../src/crypto/native-aes-rows.ts";

const CIPHERS: Record<string, BlockCipher> = { ECB: ecb, "XTS with tweaks of zero": xtsAsEcb() };

/** AES-128 of one block after the other, each by a cipher of its own. */
function blockByBlock(key: Uint8Array, blocks: Uint8Array): Buffer {
  const encrypted: Buffer[] = [];
  for (let at = 0; at < blocks.length; at += 16) {
    const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false);
    encrypted.push(cipher.update(blocks.subarray(at, at + 16)));
  }
  return Buffer.concat(encrypted);
}

for (const [name, cipher] of Object.entries(CIPHERS)) {
  test(`${name} is AES block by block, call after call, whatever the number of blocks`, () => {
    const key = randomBytes(16);
    const encrypt = cipher(key);
    for (const count of [1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 127, 1000, 12_800]) {
      const blocks = randomBytes(16 * count);
      assert.ok(encrypt(blocks).equals(blockByBlock(key, blocks)), `${count} blocks`);
    }
  });

  test(`${name} takes any seed, zeros too`, () => {
    const blocks = randomBytes(64);
    for (const seed of [new Uint8Array(16), new Uint8Array(16).fill(255)]) {
      assert.ok(cipher(seed)(blocks).equals(blockByBlock(seed, blocks)));
    }
  });
}

test("a writer gives any rows, in any order", () => {
  const n = 640;
  const seedA = randomBytes(16);
  const write = nativeAesRows(n)(seedA);
  for (const rowFirst of [636, 0, 160]) {
    const out = new Uint8Array(4 * 2 * n);
    write(out, rowFirst);
    const blocks = Buffer.alloc(out.length);
    for (let at = 0; at < blocks.length; at += 16) {
      blocks.writeUInt16LE(rowFirst + Math.floor(at / (2 * n)), at);
      blocks.writeUInt16LE((at % (2 * n)) / 2, at + 2);
    }
    assert.ok(blockByBlock(seedA, blocks).equals(out), `from row ${rowFirst}`);
  }
});

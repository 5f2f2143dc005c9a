// The client written from docs/wire.md against the product, at the borders that one small model does not reach.

import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { open, seal } from "../../../src/crypto/chunked-seal.ts";
import { blobDigest, inclusionPath, leafHash, treeRoot } from "../../../src/crypto/merkle.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import * as stranger from "../../support/stranger.ts";
import * as trees from "../../support/stranger-trees.ts";

const CHUNK = 262_144;
const LEAF = 2 ** 20;

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31) >> 3);
}

test("the stranger's seals open in the product and the product's open there, around the borders of chunks", () => {
  const [secret, context] = [pattern(32), utf8("here")];
  for (const length of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7]) {
    const plaintext = Buffer.from(pattern(length));
    const theirs = open(secret, context, stranger.seal(secret, context, plaintext));
    assert.ok(theirs !== undefined && plaintext.equals(theirs), `stranger's seal of ${length} bytes`);
    const ours = stranger.open(secret, context, seal(secret, context, plaintext, systemRandom));
    assert.ok(plaintext.equals(ours), `product's seal of ${length} bytes`);
  }
});

test("the stranger refuses a seal under another secret or context, cut off, or altered", () => {
  const [secret, context] = [pattern(32), utf8("here")];
  const blob = seal(secret, context, pattern(CHUNK + 1), systemRandom);
  assert.throws(() => stranger.open(pattern(33).subarray(1), context, blob));
  assert.throws(() => stranger.open(secret, utf8("there"), blob));
  for (const length of [0, 71, 72, 72 + CHUNK + 16, blob.length - 1]) {
    assert.throws(() => stranger.open(secret, context, blob.subarray(0, length)), `${length} bytes`);
  }
  for (const at of [0, 7, 40, 80, blob.length - 1]) {
    const altered = Uint8Array.from(blob);
    altered[at] ^= 1;
    assert.throws(() => stranger.open(secret, context, altered), `byte ${at}`);
  }
});

test("the stranger names blobs as the product does, around the borders of leaves", () => {
  for (const length of [0, 1, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, 3 * LEAF + 5]) {
    const blob = pattern(length);
    assert.ok(Buffer.from(trees.blobDigest(blob)).equals(blobDigest(blob)), `${length} bytes`);
  }
});

test("the stranger follows every path of trees of up to 17 leaves, and no path to another root", () => {
  for (let size = 1; size <= 17; size++) {
    const leaves = Array.from({ length: size }, (_, i) => leafHash(Uint8Array.of(i)));
    const root = treeRoot(leaves);
    assert.ok(Buffer.from(trees.rootOf(leaves)).equals(root), `${size} leaves`);
    for (const [i, leaf] of leaves.entries()) {
      const path = inclusionPath(leaves, i);
      assert.ok(trees.isIncluded(leaf, i, size, path, root), `leaf ${i} of ${size}`);
      assert.ok(!trees.isIncluded(leaf, i, size, path, leafHash(root)), `leaf ${i} of ${size}`);
      assert.ok(!trees.isIncluded(leaf, i, size, [...path, root], root), `leaf ${i} of ${size}`);
    }
  }
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../../src/core/limits.ts";
import {
  BlobHasher,
  blobDigest,
  GrowingTree,
  inclusionPath,
  inclusionPaths,
  leafHash,
  treeRoot,
  verifyInclusion,
} from "../../../src/crypto/merkle.ts";
import { hex } from "./hex.ts";

const SIZES = Array.from({ length: 41 }, (_, size) => size);

function hash(...parts: (Uint8Array | string)[]): Buffer {
  return parts.reduce((state, part) => state.update(part), createHash("sha256")).digest();
}

/** RFC 6962 section 2.1, MTH(D[n]), as it is written there. */
function twinRoot(data: readonly Uint8Array[]): Buffer {
  if (data.length === 0) return hash("");
  if (data.length === 1) return hash("\0", data[0]);
  const k = 2 ** Math.floor(Math.log2(data.length - 1));
  return hash("\x01", twinRoot(data.slice(0, k)), twinRoot(data.slice(k)));
}

/** RFC 6962 section 2.1.1, PATH(m, D[n]). */
function twinPath(m: number, data: readonly Uint8Array[]): Buffer[] {
  if (data.length === 1) return [];
  const k = 2 ** Math.floor(Math.log2(data.length - 1));
  return m < k
    ? [...twinPath(m, data.slice(0, k)), twinRoot(data.slice(k))]
    : [...twinPath(m - k, data.slice(k)), twinRoot(data.slice(0, k))];
}

const entries = (size: number): Buffer[] => Array.from({ length: size }, (_, i) => Buffer.from(`entry ${i}`));
const leavesOf = (size: number) => entries(size).map((entry) => leafHash(entry));

function flipped(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes);
  out[out.length - 1] ^= 1;
  return out;
}

/** The inputs and roots of the test trees of Certificate Transparency's reference implementation. */
const CT_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const CT_ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

describe("a hash tree", () => {
  it("has the roots that Certificate Transparency knows", () => {
    const leaves = CT_INPUTS.map((input) => leafHash(Buffer.from(input, "hex")));
    assert.equal(hex(treeRoot([])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (const [i, root] of CT_ROOTS.entries()) assert.equal(hex(treeRoot(leaves.slice(0, i + 1))), root);
  });

  it("of any size has the root and the paths of the slow twin, grown or made at once", () => {
    const growing = new GrowingTree();
    for (const size of SIZES) {
      assert.equal(growing.size, size);
      const root = hex(twinRoot(entries(size)));
      assert.equal(hex(treeRoot(leavesOf(size))), root);
      assert.equal(hex(growing.root()), root);
      const paths = inclusionPaths(leavesOf(size)).map((path) => path.map(hex));
      assert.equal(paths.length, size);
      for (let i = 0; i < size; i++) {
        assert.deepEqual(paths[i], twinPath(i, entries(size)).map(hex));
        assert.deepEqual(inclusionPath(leavesOf(size), i).map(hex), paths[i]);
      }
      growing.append(leafHash(Buffer.from(`entry ${size}`)));
    }
  });

  it("proves each of its leaves, and with anything altered none", () => {
    for (const size of SIZES.slice(1)) {
      const leaves = leavesOf(size);
      const root = treeRoot(leaves);
      for (let i = 0; i < size; i++) {
        const path = inclusionPath(leaves, i);
        assert.ok(verifyInclusion(leaves[i], i, size, path, root), `${i} of ${size}`);
        assert.equal(verifyInclusion(flipped(leaves[i]), i, size, path, root), false);
        assert.equal(verifyInclusion(leaves[i], i, size, path, flipped(root)), false);
        assert.equal(verifyInclusion(leaves[i], i, size, [...path, root], root), false);
        for (const k of path.keys()) {
          assert.equal(verifyInclusion(leaves[i], i, size, path.with(k, flipped(path[k])), root), false);
          assert.equal(verifyInclusion(leaves[i], i, size, path.toSpliced(k, 1), root), false);
        }
        for (let other = 0; other < size; other++) {
          if (other !== i) assert.equal(verifyInclusion(leaves[i], other, size, path, root), false);
        }
      }
    }
  });

  it("accepts no index outside and no size that its path does not fit", () => {
    const leaves = leavesOf(6);
    const root = treeRoot(leaves);
    const path = inclusionPath(leaves, 2);
    for (const index of [-1, 6, 7, 2.5, Number.NaN, 2 ** 53]) {
      assert.equal(verifyInclusion(leaves[2], index, 6, path, root), false);
      assert.throws(() => inclusionPath(leaves, index), RangeError);
    }
    for (const size of [0, 1, 2, 3, 4, 9, 17, 2 ** 53, Number.NaN]) {
      assert.equal(verifyInclusion(leaves[2], 2, size, path, root), false, `size ${size}`);
    }
  });

  it("takes no inner node for a leaf", () => {
    const leaves = leavesOf(4);
    const root = treeRoot(leaves);
    const [left, right] = [treeRoot(leaves.slice(0, 2)), treeRoot(leaves.slice(2))];
    assert.notEqual(hex(treeRoot([leafHash(Buffer.concat([leaves[0], leaves[1]])), right])), hex(root));
    assert.equal(hex(treeRoot([left, right])), hex(root));
  });
});

describe("the digest of a blob", () => {
  const MIB = LIMITS.treeLeafBytes;

  it("is the root over leaves of 1 MiB", () => {
    for (const length of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 3]) {
      const blob = Buffer.alloc(length, 7);
      const pieces = [];
      for (let at = 0; at === 0 || at < length; at += MIB) pieces.push(blob.subarray(at, at + MIB));
      assert.equal(hex(blobDigest(blob)), hex(twinRoot(pieces)), `${length} bytes`);
    }
  });

  it("does not depend on the pieces in which the blob comes", () => {
    const blob = Buffer.alloc(2 * MIB + 5, "a piece of a blob ");
    const whole = hex(blobDigest(blob));
    const cuts = fc.array(fc.oneof(fc.nat(blob.length), fc.constantFrom(MIB - 1, MIB, MIB + 1, 2 * MIB)), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(cuts, (places) => {
        const hasher = new BlobHasher();
        const edges = [0, ...places.sort((a, b) => a - b), blob.length];
        for (let i = 1; i < edges.length; i++) hasher.update(blob.subarray(edges[i - 1], edges[i]));
        assert.equal(hasher.length, blob.length);
        assert.equal(hex(hasher.digest()), whole);
      }),
      { numRuns: 25 },
    );
  });
});

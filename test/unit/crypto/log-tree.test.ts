import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import {
  proveConsistency,
  proveInclusion,
  rootOf,
  subtreesOf,
  TILE_WIDTH,
  TileEdge,
  tileWidth,
  verifyConsistency,
} from "../../../src/crypto/log-tree.ts";
import { inclusionPath, leafHash, nodeHash, verifyInclusion } from "../../../src/crypto/merkle.ts";

const LEAVES = Array.from({ length: 700 }, (_, i) => leafHash(utf8(`leaf ${i}`)));

/** MTH of RFC 6962 section 2.1, as it stands there. */
function slowRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(slowRoot(leaves.slice(0, k)), slowRoot(leaves.slice(k)));
}

/** SUBPROOF of RFC 6962 section 2.1.2, as it stands there. */
function slowConsistency(m: number, leaves: readonly Uint8Array[], isWhole = true): Uint8Array[] {
  if (m === leaves.length) return isWhole ? [] : [slowRoot(leaves)];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return m <= k
    ? [...slowConsistency(m, leaves.slice(0, k), isWhole), slowRoot(leaves.slice(k))]
    : [...slowConsistency(m - k, leaves.slice(k), false), slowRoot(leaves.slice(0, k))];
}

function grown(size: number): { edge: TileEdge; readTile: (row: number, number: number) => Promise<Uint8Array> } {
  const edge = new TileEdge();
  const full = new Map<string, Uint8Array>();
  for (const leaf of LEAVES.slice(0, size)) {
    for (const { row, number, hashes } of edge.append(leaf)) full.set(`${row}/${number}`, hashes);
  }
  const readTile = async (row: number, number: number): Promise<Uint8Array> => {
    const tile = full.get(`${row}/${number}`) ?? edge.partial(row, number);
    assert.ok(tile !== undefined, `tile ${row}/${number}`);
    return tile;
  };
  return { edge, readTile };
}

const SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 700];

describe("a tree of tiles", () => {
  it("has the root of RFC 6962 at every size", () => {
    const edge = new TileEdge();
    assert.deepEqual(edge.root(), sha256());
    for (const [i, leaf] of LEAVES.entries()) {
      edge.append(leaf);
      if (SIZES.includes(i + 1)) assert.deepEqual(edge.root(), slowRoot(LEAVES.slice(0, i + 1)), `size ${i + 1}`);
    }
  });

  it("is computed again from its tiles alone", async () => {
    for (const size of SIZES) {
      const { edge, readTile } = grown(size);
      assert.deepEqual(await rootOf(subtreesOf(readTile), size), edge.root());
    }
  });

  it("goes on from its right edge as if it had never stopped", () => {
    for (const size of [1, 255, 256, 300, 512, 700]) {
      const rows = [0, 1].map((row) => {
        const count = Math.floor(size / TILE_WIDTH ** row) % TILE_WIDTH;
        const first = Math.floor(size / TILE_WIDTH ** (row + 1)) * TILE_WIDTH;
        const width = TILE_WIDTH ** row;
        return Array.from({ length: count }, (_, i) =>
          slowRoot(LEAVES.slice((first + i) * width, (first + i + 1) * width)),
        );
      });
      const restored = TileEdge.restore(rows);
      const { edge } = grown(size);
      for (const leaf of LEAVES.slice(0, 300)) assert.deepEqual(restored.append(leaf), edge.append(leaf));
      assert.deepEqual(restored.root(), edge.root());
    }
  });

  it("has tiles of the widths of its size", () => {
    // The example of C2SP tlog-tiles.
    const widths = [tileWidth(0, 272, 70_000), tileWidth(0, 273, 70_000), tileWidth(1, 1, 70_000)];
    assert.deepEqual([...widths, tileWidth(2, 0, 70_000), tileWidth(0, 274, 70_000)], [256, 112, 17, 1, 0]);
  });

  it("proves every leaf, as the slow twin does", async () => {
    for (const size of [1, 5, 256, 300, 700]) {
      const { edge, readTile } = grown(size);
      const read = subtreesOf(readTile);
      for (let index = 0; index < size; index += size > 10 ? 37 : 1) {
        const path = await proveInclusion(read, index, size);
        assert.deepEqual(path, inclusionPath(LEAVES.slice(0, size), index));
        assert.ok(verifyInclusion(LEAVES[index], index, size, path, edge.root()));
      }
    }
  });

  it("proves that it is a continuation, as RFC 6962 has it", async () => {
    for (const size of SIZES) {
      const { edge, readTile } = grown(size);
      const read = subtreesOf(readTile);
      for (const oldSize of [...SIZES, 100, 640].filter((old) => old <= size)) {
        const proof = await proveConsistency(read, oldSize, size);
        assert.deepEqual(proof, slowConsistency(oldSize, LEAVES.slice(0, size)), `${oldSize} to ${size}`);
        const older = { size: oldSize, root: slowRoot(LEAVES.slice(0, oldSize)) };
        assert.ok(verifyConsistency(older, { size, root: edge.root() }, proof), `${oldSize} to ${size}`);
      }
    }
  });

  it("is no continuation of another tree, by no proof that was altered, cut or grown", async () => {
    const { edge, readTile } = grown(700);
    const newer = { size: 700, root: edge.root() };
    for (const oldSize of [1, 3, 256, 511, 699]) {
      const older = { size: oldSize, root: slowRoot(LEAVES.slice(0, oldSize)) };
      const proof = await proveConsistency(subtreesOf(readTile), oldSize, 700);
      const other = sha256(older.root);
      assert.ok(!verifyConsistency({ ...older, root: other }, newer, proof));
      assert.ok(!verifyConsistency(older, { ...newer, root: other }, proof));
      assert.ok(!verifyConsistency({ ...older, size: oldSize + 1 }, newer, proof));
      assert.ok(!verifyConsistency(newer, older, proof));
      assert.ok(!verifyConsistency(older, newer, [...proof, other]));
      for (const [i] of proof.entries()) {
        assert.ok(!verifyConsistency(older, newer, proof.toSpliced(i, 1)));
        assert.ok(!verifyConsistency(older, newer, proof.with(i, other)));
      }
    }
  });

  it("continues the empty tree and itself without a proof", () => {
    const { edge } = grown(5);
    const tree = { size: 5, root: edge.root() };
    assert.ok(verifyConsistency(tree, tree, []));
    assert.ok(verifyConsistency({ size: 0, root: sha256() }, tree, []));
    assert.ok(!verifyConsistency({ size: 0, root: sha256(tree.root) }, tree, []));
    assert.ok(!verifyConsistency(tree, { ...tree, root: sha256() }, []));
  });
});

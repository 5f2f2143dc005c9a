import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { LeafPool, PooledBlobHasher } from "../../../src/crypto/leaf-pool.ts";
import { blobDigest } from "../../../src/crypto/merkle.ts";
import { seededRandom } from "../../support/clock.ts";
import { hex } from "./hex.ts";

const MIB = LIMITS.treeLeafBytes;
const random = seededRandom("leaf pool");

async function digestIn(pool: LeafPool, blob: Uint8Array, pieceBytes: number): Promise<string> {
  const hasher = new PooledBlobHasher(pool);
  for (let at = 0; at < blob.length; at += pieceBytes) await hasher.update(blob.subarray(at, at + pieceBytes));
  assert.equal(hasher.length, blob.length);
  return hex(await hasher.digest());
}

describe("the digest of a blob over threads", () => {
  const pools = [new LeafPool(1), new LeafPool(3)];
  after(async () => void (await Promise.all(pools.map((pool) => pool.close()))));

  for (const [i, pool] of pools.entries()) {
    it(`is the one of a single thread, at any length, with pool ${i}`, async () => {
      for (const length of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 9 * MIB + 3]) {
        const blob = random.bytes(length);
        assert.equal(await digestIn(pool, blob, 100_000), hex(blobDigest(blob)), `${length} bytes`);
      }
    });

    it(`does not depend on the pieces, with pool ${i}`, async () => {
      const blob = random.bytes(3 * MIB + 17);
      const whole = hex(blobDigest(blob));
      for (const pieceBytes of [65_536, MIB - 1, MIB, MIB + 1, 4 * MIB]) {
        assert.equal(await digestIn(pool, blob, pieceBytes), whole, `${pieceBytes} bytes a piece`);
      }
    });
  }

  it("is right for blobs that come at the same time", async () => {
    const blobs = Array.from({ length: 4 }, () => random.bytes(2 * MIB + 5));
    const digests = await Promise.all(blobs.map((blob) => digestIn(pools[1], blob, 300_000)));
    assert.deepEqual(
      digests,
      blobs.map((blob) => hex(blobDigest(blob))),
    );
  });

  it("holds no more leaves than its threads have places for", () => {
    assert.equal(pools[0].leavesMax, 2);
    assert.equal(pools[1].leavesMax, 6);
  });

  it("rejects where its threads are gone", async () => {
    const pool = new LeafPool(1);
    const hasher = new PooledBlobHasher(pool);
    await hasher.update(new Uint8Array(MIB + 1));
    await pool.close();
    await assert.rejects(hasher.digest());
    assert.equal(await digestIn(pool, new Uint8Array(MIB + 1), MIB), hex(blobDigest(new Uint8Array(MIB + 1))));
    await pool.close();
  });

  it("refuses a pool without threads as a mistake of the program", () => {
    for (const count of [0, -1, 1.5]) assert.throws(() => new LeafPool(count), RangeError);
  });
});

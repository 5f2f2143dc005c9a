// Proofs over a hash tree that is too large to hold: whoever can give the roots of full subtrees can prove that a leaf
// is in the tree and that a tree is the beginning of a later one (RFC 6962 section 2.1). Subtrees come from tiles of
// 256 hashes (C2SP tlog-tiles): level l of tile row L is level 8 L + l of the tree.

import { equal } from "../core/bytes.ts";
import { sha256 } from "./hash.ts";
import { GrowingTree, nodeHash } from "./merkle.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const TILE_LEVELS = 8;
export const TILE_WIDTH: number = 2 ** TILE_LEVELS;
export const HASH_BYTES = 32;

/** Root over the leaves index 2^level to (index + 1) 2^level - 1. */
export type SubtreeReader = (level: number, index: number) => Promise<Bytes>;

/** Hashes of one tile, width * 32 bytes. */
export type TileReader = (row: number, number: number, width: number) => Promise<Uint8Array>;

/** Width of a tile in a tree of so many leaves: 256 where it is full, 0 where there is none. */
export function tileWidth(row: number, number: number, size: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** row);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - number * TILE_WIDTH));
}

/** The inner nodes of one tile, made when asked for; they stay as they are while the tile grows. */
class TileNodes {
  hashes: Bytes = new Uint8Array(0);
  readonly #nodes: (Bytes | undefined)[] = [];

  /** Root over 2^level hashes, the index-th such. */
  node(level: number, index: number): Bytes {
    if (level === 0) return this.hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    const place = 2 ** (TILE_LEVELS - level) + index;
    const known = this.#nodes[place];
    if (known !== undefined) return known;
    const node = nodeHash(this.node(level - 1, 2 * index), this.node(level - 1, 2 * index + 1));
    this.#nodes[place] = node;
    return node;
  }
}

const TILES_KEPT_MAX = 256;

/** readTile: as many hashes of the tile as there are. The 256 tiles that were asked for last are kept. */
export function subtreesOf(readTile: (row: number, number: number) => Promise<Uint8Array>): SubtreeReader {
  const tiles = new Map<string, TileNodes>();
  return async (level, index) => {
    const row = Math.floor(level / TILE_LEVELS);
    const inner = level % TILE_LEVELS;
    const first = index * 2 ** inner;
    const number = Math.floor(first / TILE_WIDTH);
    const name = `${row}/${number}`;
    const tile = tiles.get(name) ?? new TileNodes();
    tiles.delete(name);
    tiles.set(name, tile);
    if (tiles.size > TILES_KEPT_MAX) tiles.delete(tiles.keys().next().value!);
    const end = ((first % TILE_WIDTH) + 2 ** inner) * HASH_BYTES;
    if (tile.hashes.length < end) tile.hashes = new Uint8Array(await readTile(row, number));
    if (tile.hashes.length < end) throw new RangeError(`tile ${name} has no hash ${end / HASH_BYTES - 1}`);
    return tile.node(inner, (first % TILE_WIDTH) / 2 ** inner);
  };
}

/** Root over the leaves from start to end - 1; start is a multiple of the largest subtree in there. */
async function rangeRoot(read: SubtreeReader, start: number, end: number): Promise<Bytes> {
  const count = end - start;
  const level = Math.log2(count);
  if (Number.isInteger(level)) return await read(level, start / count);
  const k = splitPoint(count);
  const [left, right] = await Promise.all([rangeRoot(read, start, start + k), rangeRoot(read, start + k, end)]);
  return nodeHash(left, right);
}

export async function rootOf(read: SubtreeReader, size: number): Promise<Bytes> {
  return size === 0 ? sha256() : await rangeRoot(read, 0, size);
}

/** RFC 6962 section 2.1.1: sibling hashes from the leaf up. */
export async function proveInclusion(read: SubtreeReader, index: number, size: number): Promise<Bytes[]> {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new RangeError(`no leaf ${index} of ${size}`);
  const siblings: Promise<Bytes>[] = [];
  for (let [start, end] = [0, size]; end - start > 1; ) {
    const middle = start + splitPoint(end - start);
    const isLeft = index < middle;
    siblings.push(isLeft ? rangeRoot(read, middle, end) : rangeRoot(read, start, middle));
    [start, end] = isLeft ? [start, middle] : [middle, end];
  }
  return (await Promise.all(siblings)).reverse();
}

/** RFC 6962 section 2.1.2: that the tree of oldSize leaves is the beginning of the one of size. */
export async function proveConsistency(read: SubtreeReader, oldSize: number, size: number): Promise<Bytes[]> {
  if (oldSize < 0 || oldSize > size) throw new RangeError(`no tree of ${oldSize} in one of ${size}`);
  if (oldSize === 0 || oldSize === size) return [];
  const hashes: Promise<Bytes>[] = [];
  let [start, end] = [0, size];
  while (end !== oldSize) {
    const middle = start + splitPoint(end - start);
    const isLeft = oldSize <= middle;
    hashes.push(isLeft ? rangeRoot(read, middle, end) : rangeRoot(read, start, middle));
    [start, end] = isLeft ? [start, middle] : [middle, end];
  }
  // What is left is a whole subtree of the old tree; where it is all of it, its root is known.
  if (start !== 0) hashes.push(rangeRoot(read, start, end));
  return (await Promise.all(hashes)).reverse();
}

/** RFC 9162 section 2.1.4.2. */
export function verifyConsistency(
  older: { readonly size: number; readonly root: Uint8Array },
  newer: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (older.size > newer.size || older.size < 0) return false;
  if (older.size === newer.size) return proof.length === 0 && equal(older.root, newer.root);
  if (older.size === 0) return proof.length === 0 && equal(older.root, sha256());
  const path = Number.isInteger(Math.log2(older.size)) ? [older.root, ...proof] : proof;
  if (path.length === 0) return false;
  let [position, last] = [older.size - 1, newer.size - 1];
  while (position % 2 === 1) [position, last] = [half(position), half(last)];
  let [oldHash, newHash] = [path[0]!, path[0]!];
  for (const hash of path.slice(1)) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      [oldHash, newHash] = [nodeHash(hash, oldHash), nodeHash(hash, newHash)];
      while (position % 2 === 0 && position !== 0) [position, last] = [half(position), half(last)];
    } else {
      newHash = nodeHash(newHash, hash);
    }
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && equal(oldHash, older.root) && equal(newHash, newer.root);
}

/** Largest power of two below count; count > 1. */
function splitPoint(count: number): number {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

/** A tile that has just become full. */
export interface FullTile {
  readonly row: number;
  readonly number: number;
  readonly hashes: Bytes;
}

/** The right edge of a growing tree: its root, and of each row of tiles the one that is not full yet. */
export class TileEdge {
  readonly #tree: GrowingTree;
  /** By row; only the first hashes of each count, see tileWidth. */
  readonly #partial: Bytes[];

  constructor(tree = new GrowingTree(), partial: Bytes[] = []) {
    this.#tree = tree;
    this.#partial = partial;
  }

  /** rows: for each row of tiles the hashes of the one that is not full yet, lowest row first. */
  static restore(rows: readonly (readonly Uint8Array[])[]): TileEdge {
    const tree = new GrowingTree();
    for (const [row, hashes] of [...rows.entries()].reverse()) {
      for (const hash of hashes) tree.appendSubtree(hash, TILE_WIDTH ** row);
    }
    const partial = rows.map((hashes) => {
      const tile = new Uint8Array(TILE_WIDTH * HASH_BYTES);
      for (const [i, hash] of hashes.entries()) tile.set(hash, i * HASH_BYTES);
      return tile;
    });
    return new TileEdge(tree, partial);
  }

  clone(): TileEdge {
    return new TileEdge(
      this.#tree.clone(),
      this.#partial.map((tile) => tile.slice()),
    );
  }

  get size(): number {
    return this.#tree.size;
  }

  root(): Bytes {
    return this.#tree.root();
  }

  /** Returns the tiles that this leaf has filled, lowest row first. */
  append(leaf: Uint8Array): FullTile[] {
    const filled: FullTile[] = [];
    this.#put(0, this.#tree.size, leaf, filled);
    this.#tree.append(leaf, (hash, size) => {
      const row = Math.log2(size) / TILE_LEVELS;
      if (Number.isInteger(row)) this.#put(row, (this.#tree.size + 1) / size - 1, hash, filled);
    });
    return filled;
  }

  #put(row: number, index: number, hash: Uint8Array, filled: FullTile[]): void {
    const tile = this.#partial[row] ?? new Uint8Array(TILE_WIDTH * HASH_BYTES);
    this.#partial[row] = tile;
    tile.set(hash, (index % TILE_WIDTH) * HASH_BYTES);
    if (index % TILE_WIDTH === TILE_WIDTH - 1) {
      filled.push({ row, number: Math.floor(index / TILE_WIDTH), hashes: tile.slice() });
    }
  }

  /** The hashes of the tile that is not full yet; undefined where this one is full or not begun. */
  partial(row: number, number: number): Bytes | undefined {
    const width = tileWidth(row, number, this.size);
    return width > 0 && width < TILE_WIDTH ? this.#partial[row]!.subarray(0, width * HASH_BYTES) : undefined;
  }
}

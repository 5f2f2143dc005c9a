// Hash trees as in RFC 6962 section 2.1 with SHA-256: leaf = H(0x00 | data), node = H(0x01 | left | right). One kind of
// tree names blobs (leaves of 1 MiB), proves a nonce in the enclave's evidence, and orders the audit log.

import { equal } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { SHA256_BYTES, sha256 } from "./hash.ts";
import { PLATFORM } from "./native-platform.ts";
import type { RunningHash } from "./platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const leafHash = (data: Uint8Array): Bytes => sha256(Uint8Array.of(0), data);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Bytes => sha256(Uint8Array.of(1), left, right);

/** Root over leaf hashes; the hash of nothing where there are none. */
export function treeRoot(leaves: readonly Uint8Array[]): Bytes {
  const tree = new GrowingTree();
  for (const leaf of leaves) tree.append(leaf);
  return tree.root();
}

/** For each leaf its sibling hashes, from the leaf up. */
export function inclusionPaths(leaves: readonly Uint8Array[]): Bytes[][] {
  const levels = treeLevels(leaves);
  return leaves.map((_, index) => pathIn(levels, index));
}

/** Sibling hashes from the leaf up. */
export function inclusionPath(leaves: readonly Uint8Array[], index: number): Bytes[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) throw new RangeError(`no leaf ${index}`);
  return pathIn(treeLevels(leaves), index);
}

/** From the leaves to the root. A node without a neighbour goes up as it is: the same tree as by splitting. */
function treeLevels(leaves: readonly Uint8Array[]): Bytes[][] {
  let level = leaves.map((leaf) => new Uint8Array(leaf));
  const levels = [level];
  while (level.length > 1) {
    const above: Bytes[] = [];
    for (let i = 0; i + 1 < level.length; i += 2) above.push(nodeHash(level[i]!, level[i + 1]!));
    if (level.length % 2 === 1) above.push(level.at(-1)!);
    level = above;
    levels.push(level);
  }
  return levels;
}

function pathIn(levels: readonly Bytes[][], index: number): Bytes[] {
  const siblings = levels.map((level, height) => level[Math.floor(index / 2 ** height) ^ 1]);
  return siblings.filter((sibling) => sibling !== undefined);
}

/** RFC 9162 section 2.1.3.2. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let hash: Uint8Array = leaf;
  let position = index;
  let last = size - 1;
  for (const sibling of path) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      hash = nodeHash(sibling, hash);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equal(hash, root);
}

/** Keeps the roots of the full subtrees alone: appending and the root cost O(log n). */
export class GrowingTree {
  #peaks: { readonly hash: Bytes; readonly size: number }[] = [];
  #size = 0;

  /** A tree of the same leaves that grows on its own. */
  clone(): GrowingTree {
    const copy = new GrowingTree();
    copy.#peaks = [...this.#peaks];
    copy.#size = this.#size;
    return copy;
  }

  get size(): number {
    return this.#size;
  }

  /** onSubtree: told of every subtree of two leaves or more that this leaf completes, the smallest first. */
  append(leaf: Uint8Array, onSubtree?: (root: Uint8Array, size: number) => void): void {
    this.#push(leaf, 1, onSubtree);
  }

  /** A whole subtree of 2^k leaves by its root; the size so far must be a multiple of it. */
  appendSubtree(root: Uint8Array, size: number): void {
    if (this.#size % size !== 0) throw new RangeError(`no subtree of ${size} starts at leaf ${this.#size}`);
    this.#push(root, size);
  }

  #push(root: Uint8Array, leaves: number, onSubtree?: (root: Uint8Array, size: number) => void): void {
    let hash = new Uint8Array(root);
    let size = leaves;
    for (let peak = this.#peaks.at(-1); peak !== undefined && peak.size === size; peak = this.#peaks.at(-1)) {
      hash = nodeHash(peak.hash, hash);
      size *= 2;
      this.#peaks.pop();
      onSubtree?.(hash, size);
    }
    this.#peaks.push({ hash, size });
    this.#size += leaves;
  }

  root(): Bytes {
    const hashes = this.#peaks.map((peak) => peak.hash);
    return hashes.length === 0 ? sha256() : hashes.reduceRight((right, left) => nodeHash(left, right));
  }
}

/** Digest of a blob that arrives in pieces of any length: root of the tree over leaves of 1 MiB. */
export class BlobHasher {
  readonly #tree = new GrowingTree();
  #leaf = newLeaf();
  #filled = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  update(bytes: Uint8Array): void {
    this.#length += bytes.length;
    for (let offset = 0; offset < bytes.length; ) {
      if (this.#filled === LIMITS.treeLeafBytes) this.#closeLeaf();
      const take = Math.min(LIMITS.treeLeafBytes - this.#filled, bytes.length - offset);
      this.#leaf.update(bytes.subarray(offset, offset + take));
      this.#filled += take;
      offset += take;
    }
  }

  digest(): Bytes {
    if (this.#filled > 0 || this.#tree.size === 0) this.#closeLeaf();
    return this.#tree.root();
  }

  #closeLeaf(): void {
    this.#tree.append(this.#leaf.digest());
    this.#leaf = newLeaf();
    this.#filled = 0;
  }
}

function newLeaf(): RunningHash {
  const leaf = PLATFORM.startHash("sha256");
  leaf.update(Uint8Array.of(0));
  return leaf;
}

export const BLOB_DIGEST_BYTES: number = SHA256_BYTES;

export function blobDigest(blob: Uint8Array): Bytes {
  const hasher = new BlobHasher();
  hasher.update(blob);
  return hasher.digest();
}

// The hash trees of somebody who has docs/wire.md and nothing else of the project: RFC 6962, and the way that blobs are
// cut into leaves.

import { createHash } from "node:crypto";

type Bytes = Uint8Array;

const MIB = 2 ** 20;
const equal = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0;
const sha256 = (...parts: Bytes[]): Bytes => createHash("sha256").update(Buffer.concat(parts)).digest();

export const leafOf = (data: Bytes): Bytes => sha256(Uint8Array.of(0), data);

export function rootOf(leaves: Bytes[]): Bytes {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0];
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return sha256(Uint8Array.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

export function blobDigest(blob: Bytes): Bytes {
  const count = Math.max(1, Math.ceil(blob.length / MIB));
  return rootOf(Array.from({ length: count }, (_, i) => leafOf(blob.subarray(i * MIB, (i + 1) * MIB))));
}

/** RFC 9162 section 2.1.3.2. */
export function isIncluded(leaf: Bytes, index: number, size: number, path: Bytes[], root: Bytes): boolean {
  if (index >= size) return false;
  let [fn, sn, r] = [index, size - 1, leaf];
  for (const p of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = sha256(Uint8Array.of(1), p, r);
      for (; fn % 2 === 0 && fn !== 0; sn >>= 1) fn >>= 1;
    } else {
      r = sha256(Uint8Array.of(1), r, p);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn === 0 && equal(r, root);
}

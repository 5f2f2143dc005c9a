// Sorting networks: a fixed list of comparators that sorts any input, so that 64 columns are sorted at once without a
// branch. Pruned to the ranks that are asked for.

/** Two row numbers each: after comparator (a, b) the lesser value is in row a. */
export type Comparators = Uint16Array<ArrayBuffer>;

/** Batcher's merge exchange for any count (Knuth, The Art of Computer Programming 3, section 5.2.2, Algorithm M). */
export function sortingNetwork(count: number): Comparators {
  const pairs: number[] = [];
  const t = Math.ceil(Math.log2(count));
  for (let p = 2 ** (t - 1); p >= 1; p /= 2) {
    let q = 2 ** (t - 1);
    let r = 0;
    let d = p;
    for (;;) {
      for (let i = 0; i < count - d; i++) if ((i & p) === r) pairs.push(i, i + d);
      if (q === p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
  return Uint16Array.from(pairs);
}

const SUMMED = 1; // the row's value enters the sum; 0: nobody looks at the row
const EXACT = 2; // a comparator behind this one reads the row

/**
 * The comparators that bring the ranks from low to high - 1 into the rows low to high - 1, in any order among them:
 * whoever adds them up does not care.
 */
export function selectionNetwork(count: number, low: number, high: number): Comparators {
  return pruned(sortingNetwork(count), new Uint8Array(count).fill(SUMMED, low, high));
}

/** The comparators that bring each of the ranks from low to high - 1 into the row of that number. */
export function rankNetwork(count: number, low: number, high: number): Comparators {
  return pruned(sortingNetwork(count), new Uint8Array(count).fill(EXACT, low, high));
}

/**
 * Walks backwards; a comparator stays where a row behind it is needed exactly, or where it decides which of two values
 * enters the sum.
 */
function pruned(all: Comparators, need: Uint8Array): Comparators {
  const kept: number[] = [];
  for (let i = all.length - 2; i >= 0; i -= 2) {
    const a = all[i];
    const b = all[i + 1];
    if (need[a] === need[b] && need[a] !== EXACT) continue;
    need[a] = EXACT;
    need[b] = EXACT;
    kept.push(b, a);
  }
  return Uint16Array.from(kept.reverse());
}

// The micro kernel of products and convolutions: sums of outer products, a tile of 6 x 8 in 12 of the 16 vector
// registers.

import { at, madd } from "./_simd";

export const MR: i32 = 6;
export const NR: i32 = 8;
const ROW: usize = 32; // NR * 4

const TILE: usize = memory.data(192, 64); // MR * NR * 4

/** Where the MR rows of a gathered tile start, 4 bytes each. */
export const POSITIONS: usize = memory.data(24, 64); // MR * 4

/** Where the MR values of x lie: side by side, or one at each of POSITIONS. */
export const NEIGHBOURS: bool = false;
export const GATHERED: bool = true;

/**
 * c (rows x columns of a tile, its rows cRow elements apart) = start (NR; zero where there is none) + the sum over
 * runs x depth steps of x (MR) times w (NR); added to what c holds where accumulate is set. A step goes xStep elements
 * on in x and wStep in w, a run xRun in x. A tile that hangs over the edge of c is computed aside.
 */
// @ts-ignore: decorator
@inline
export function multiplyTile(
  isGathered: bool,
  runs: i32,
  depth: i32,
  x: usize,
  xStep: i32,
  xRun: i32,
  w: usize,
  wStep: i32,
  start: usize,
  rows: i32,
  columns: i32,
  c: usize,
  cRow: i32,
  accumulate: bool,
): void {
  const low = start ? v128.load(start) : f32x4.splat(0);
  const high = start ? v128.load(start, 16) : f32x4.splat(0);
  let c00 = low, c01 = high, c10 = low, c11 = high, c20 = low, c21 = high;
  let c30 = low, c31 = high, c40 = low, c41 = high, c50 = low, c51 = high;
  let x1: usize = 0, x2: usize = 0, x3: usize = 0, x4: usize = 0, x5: usize = 0;
  if (isGathered) {
    x = <usize>load<u32>(POSITIONS);
    x1 = <usize>load<u32>(POSITIONS, 4);
    x2 = <usize>load<u32>(POSITIONS, 8);
    x3 = <usize>load<u32>(POSITIONS, 12);
    x4 = <usize>load<u32>(POSITIONS, 16);
    x5 = <usize>load<u32>(POSITIONS, 20);
  }
  const step = at(0, xStep);
  const wBytes = at(0, wStep);
  const runBytes = at(0, depth * xStep);
  const skip = at(0, xRun) - runBytes;
  for (let run = 0; run < runs; run++) {
    const end = x + runBytes;
    while (x < end) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      let t = v128.load_splat<f32>(x);
      c00 = madd(t, w0, c00), c01 = madd(t, w1, c01);
      t = isGathered ? v128.load_splat<f32>(x1) : v128.load_splat<f32>(x, 4);
      c10 = madd(t, w0, c10), c11 = madd(t, w1, c11);
      t = isGathered ? v128.load_splat<f32>(x2) : v128.load_splat<f32>(x, 8);
      c20 = madd(t, w0, c20), c21 = madd(t, w1, c21);
      t = isGathered ? v128.load_splat<f32>(x3) : v128.load_splat<f32>(x, 12);
      c30 = madd(t, w0, c30), c31 = madd(t, w1, c31);
      t = isGathered ? v128.load_splat<f32>(x4) : v128.load_splat<f32>(x, 16);
      c40 = madd(t, w0, c40), c41 = madd(t, w1, c41);
      t = isGathered ? v128.load_splat<f32>(x5) : v128.load_splat<f32>(x, 20);
      c50 = madd(t, w0, c50), c51 = madd(t, w1, c51);
      x += step;
      if (isGathered) x1 += step, x2 += step, x3 += step, x4 += step, x5 += step;
      w += wBytes;
    }
    x += skip;
    if (isGathered) x1 += skip, x2 += skip, x3 += skip, x4 += skip, x5 += skip;
  }
  const isWhole = rows == MR && columns == NR;
  const to = isWhole ? c : TILE;
  const pitch = isWhole ? at(0, cRow) : ROW;
  const adds = isWhole && accumulate;
  storeRow(to, c00, c01, adds);
  storeRow(to + pitch, c10, c11, adds);
  storeRow(to + 2 * pitch, c20, c21, adds);
  storeRow(to + 3 * pitch, c30, c31, adds);
  storeRow(to + 4 * pitch, c40, c41, adds);
  storeRow(to + 5 * pitch, c50, c51, adds);
  if (!isWhole) copyEdge(rows, columns, c, cRow, accumulate);
}

// @ts-ignore: decorator
@inline
function storeRow(c: usize, low: v128, high: v128, accumulate: bool): void {
  if (accumulate) {
    low = f32x4.add(v128.load(c), low);
    high = f32x4.add(v128.load(c, 16), high);
  }
  v128.store(c, low);
  v128.store(c, high, 16);
}

function copyEdge(rows: i32, columns: i32, c: usize, cRow: i32, accumulate: bool): void {
  for (let from = TILE; from < TILE + rows * ROW; from += ROW) {
    if (columns == NR) {
      storeRow(c, v128.load(from), v128.load(from, 16), accumulate);
    } else {
      for (let j = 0; j < columns; j++) {
        const sum = load<f32>(at(from, j));
        store<f32>(at(c, j), accumulate ? load<f32>(at(c, j)) + sum : sum);
      }
    }
    c = at(c, cRow);
  }
}

// Single-precision matrix products. Matrices are addressed by row and column stride (in elements), so that a transpose
// is a swap of strides. The build with relaxed SIMD fuses multiply and add; the other rounds twice.
//
// sgemm follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (ACM TOMS 34, 2008): panels
// of A and B are packed for the micro kernel.

import { at, axpy } from "./_simd";
import { MR, multiplyTile, NEIGHBOURS, NR } from "./_tile";

const MC: i32 = 396; // rows of a packed block of A: 66 * MR
const KC: i32 = 512; // depth of a packed block: a panel of B is KC * NR * 4 = 16 KiB, half of a small L1 cache

const PANELS_A: usize = memory.data(811008, 64); // MC * KC * 4
const PANEL_B: usize = memory.data(16384, 64); // KC * NR * 4

/** Panels of MR rows, k outermost inside a panel; rows past the edge are zero. */
function packA(rows: i32, depth: i32, a: usize, aRow: i32, aColumn: i32): void {
  let out = PANELS_A;
  for (let i = 0; i < rows; i += MR) {
    const inside = min(MR, rows - i);
    for (let k = 0; k < depth; k++) {
      let from = at(a, i * aRow + k * aColumn);
      for (let r = 0; r < inside; r++) {
        store<f32>(at(out, r), load<f32>(from));
        from = at(from, aRow);
      }
      for (let r = inside; r < MR; r++) store<f32>(at(out, r), 0);
      out = at(out, MR);
    }
  }
}

/** One panel of NR columns, k outermost; columns past the edge are zero. */
function packB(columns: i32, depth: i32, b: usize, bRow: i32, bColumn: i32): void {
  if (columns == NR && bColumn == 1) packRows(depth, b, bRow);
  else if (columns == NR && bRow == 1) packColumns(depth, b, bColumn);
  else packAny(0, columns, depth, b, bRow, bColumn);
}

function packRows(depth: i32, b: usize, bRow: i32): void {
  let out = PANEL_B;
  for (let k = 0; k < depth; k++) {
    v128.store(out, v128.load(b));
    v128.store(out, v128.load(b, 16), 16);
    out = at(out, NR);
    b = at(b, bRow);
  }
}

/** The columns lie contiguous in k: transposes blocks of 4 x 4. */
function packColumns(depth: i32, b: usize, bColumn: i32): void {
  const whole = depth & ~3;
  for (let half = 0; half < NR; half += 4) {
    const b0 = at(b, half * bColumn);
    const b1 = at(b0, bColumn);
    const b2 = at(b1, bColumn);
    const b3 = at(b2, bColumn);
    let out = at(PANEL_B, half);
    for (let k = 0; k < whole; k += 4) {
      const r0 = v128.load(at(b0, k));
      const r1 = v128.load(at(b1, k));
      const r2 = v128.load(at(b2, k));
      const r3 = v128.load(at(b3, k));
      const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
      const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      v128.store(out, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
      v128.store(out, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7), 32);
      v128.store(out, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5), 64);
      v128.store(out, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7), 96);
      out += 128;
    }
  }
  packAny(whole, NR, depth, b, 1, bColumn);
}

function packAny(first: i32, columns: i32, depth: i32, b: usize, bRow: i32, bColumn: i32): void {
  for (let k = first; k < depth; k++) {
    const out = at(PANEL_B, k * NR);
    for (let j = 0; j < columns; j++) store<f32>(at(out, j), load<f32>(at(b, k * bRow + j * bColumn)));
    for (let j = columns; j < NR; j++) store<f32>(at(out, j), 0);
  }
}

function multiplyPanel(rows: i32, columns: i32, depth: i32, c: usize, cRow: i32, accumulate: bool): void {
  let a = PANELS_A;
  for (let i = 0; i < rows; i += MR) {
    const to = at(c, i * cRow);
    multiplyTile(NEIGHBOURS, 1, depth, a, MR, 0, PANEL_B, NR, 0, min(MR, rows - i), columns, to, cRow, accumulate);
    a = at(a, depth * MR);
  }
}

/** C (m x n, rows contiguous) = A (m x k) * B (k x n), added to what C holds where accumulate is set. */
export function sgemm(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: i32,
  aColumn: i32,
  b: usize,
  bRow: i32,
  bColumn: i32,
  c: usize,
  accumulate: bool,
): void {
  for (let l = 0; l < k; l += KC) {
    const depth = min(KC, k - l);
    const isLater = accumulate || l > 0;
    for (let i = 0; i < m; i += MC) {
      const rows = min(MC, m - i);
      packA(rows, depth, at(a, i * aRow + l * aColumn), aRow, aColumn);
      for (let j = 0; j < n; j += NR) {
        const columns = min(NR, n - j);
        packB(columns, depth, at(b, l * bRow + j * bColumn), bRow, bColumn);
        multiplyPanel(rows, columns, depth, at(c, i * n + j), n, isLater);
      }
    }
  }
}

/** Adds bias (columns) to every row of x (rows x columns). */
export function addBias(rows: i32, columns: i32, bias: usize, x: usize): void {
  for (let i = 0; i < rows; i++) axpy(columns, 1, bias, at(x, i * columns));
}

/** sums (columns) += the rows of x (rows x columns), added up; 16 columns at a time stay in registers. */
export function addRows(rows: i32, columns: i32, x: usize, sums: usize): void {
  const wide = columns & ~15;
  for (let j = 0; j < wide; j += 16) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let from = at(x, j);
    for (let i = 0; i < rows; i++) {
      s0 = f32x4.add(s0, v128.load(from));
      s1 = f32x4.add(s1, v128.load(from, 16));
      s2 = f32x4.add(s2, v128.load(from, 32));
      s3 = f32x4.add(s3, v128.load(from, 48));
      from = at(from, columns);
    }
    const to = at(sums, j);
    v128.store(to, f32x4.add(v128.load(to), s0));
    v128.store(to, f32x4.add(v128.load(to, 16), s1), 16);
    v128.store(to, f32x4.add(v128.load(to, 32), s2), 32);
    v128.store(to, f32x4.add(v128.load(to, 48), s3), 48);
  }
  for (let j = wide; j < columns; j++) {
    let sum: f32 = 0;
    for (let i = 0; i < rows; i++) sum += load<f32>(at(x, i * columns + j));
    store<f32>(at(sums, j), load<f32>(at(sums, j)) + sum);
  }
}

// Products and distances of all pairs of rows, in the terms of reduce.ts.

import { rowAt, square, total, widened } from "./_float64";

/**
 * Row r of out, stride bytes behind the one before, becomes row r of the table less its row reference. Rows of the
 * table may lie where their difference goes.
 */
export function subtractRow(
  out: usize,
  stride: usize,
  table: usize,
  count: i32,
  reference: i32,
  length: i32,
): void {
  const subtrahend = rowAt(table, reference);
  for (let r = 0; r < count; r++) {
    if (r !== reference) subtract(out + <usize>r * stride, rowAt(table, r), subtrahend, length);
  }
  subtract(out + <usize>reference * stride, subtrahend, subtrahend, length);
}

function subtract(out: usize, x: usize, y: usize, length: i32): void {
  const end = x + ((<usize>length) << 2);
  while (x < end) {
    v128.store(out, f32x4.sub(v128.load(x), v128.load(y)));
    out += 16;
    x += 16;
    y += 16;
  }
}

/**
 * out[i * count + j] += sum of rows[i][k] * rows[j][k], out float64, rows float32; count is a multiple of 4. Upper
 * triangle alone, in tiles of four rows by two, which keep eight sums in registers. length / 4 products are added in
 * float32, then the partial sum in float64: keep length short.
 */
export function products(out: usize, rows: usize, count: i32, stride: usize, length: i32): void {
  const width = (<usize>count) << 3;
  for (let i = 0; i < count; i += 4) {
    for (let j = i; j < count; j += 2) {
      const o = out + <usize>i * width + ((<usize>j) << 3);
      productTile(o, width, rows + <usize>i * stride, rows + <usize>j * stride, stride, length);
    }
  }
}

function productTile(out: usize, width: usize, x: usize, y: usize, stride: usize, length: i32): void {
  const zero = f32x4.splat(0);
  let a0 = zero;
  let a1 = zero;
  let b0 = zero;
  let b1 = zero;
  let c0 = zero;
  let c1 = zero;
  let d0 = zero;
  let d1 = zero;
  let x1 = x + stride;
  let x2 = x1 + stride;
  let x3 = x2 + stride;
  let y1 = y + stride;
  const end = x + ((<usize>length) << 2);
  while (x < end) {
    const u = v128.load(y);
    const v = v128.load(y1);
    let r = v128.load(x);
    a0 = f32x4.add(a0, f32x4.mul(r, u));
    a1 = f32x4.add(a1, f32x4.mul(r, v));
    r = v128.load(x1);
    b0 = f32x4.add(b0, f32x4.mul(r, u));
    b1 = f32x4.add(b1, f32x4.mul(r, v));
    r = v128.load(x2);
    c0 = f32x4.add(c0, f32x4.mul(r, u));
    c1 = f32x4.add(c1, f32x4.mul(r, v));
    r = v128.load(x3);
    d0 = f32x4.add(d0, f32x4.mul(r, u));
    d1 = f32x4.add(d1, f32x4.mul(r, v));
    x += 16;
    x1 += 16;
    x2 += 16;
    x3 += 16;
    y += 16;
    y1 += 16;
  }
  addPair(out, a0, a1);
  addPair(out + width, b0, b1);
  addPair(out + 2 * width, c0, c1);
  addPair(out + 3 * width, d0, d1);
}

/** Adds the lanes of two sums to two float64 side by side. */
function addPair(out: usize, a: v128, b: v128): void {
  store<f64>(out, load<f64>(out) + lanes(a));
  store<f64>(out, load<f64>(out, 8) + lanes(b), 8);
}

// @ts-ignore: decorator
@inline
function lanes(a: v128): f64 {
  return total(f64x2.add(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(v128.shuffle<i32>(a, a, 2, 3, 2, 3))));
}

/** |x - y|**2 in float64, by differences: norms and products would lose the digits of two near rows of large values. */
export function squaredDistance(x: usize, y: usize, length: i32): f64 {
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  const end = x + ((<usize>length) << 2);
  while (x < end) {
    a = f64x2.add(a, square(f64x2.sub(widened(x), widened(y))));
    b = f64x2.add(b, square(f64x2.sub(widened(x + 8), widened(y + 8))));
    x += 16;
    y += 16;
  }
  return total(f64x2.add(a, b));
}

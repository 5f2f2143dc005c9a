// Reductions over rows of float32: weighted sum, norm, dot product, order statistics, distances. Plain SIMD: the
// results are part of what an enclave signs, so they must be the same on every CPU.
//
// Lengths count values and are multiples of 16; the caller pads with zeros. Pointers are byte offsets.

import { rowAt, square, total, widened } from "./_float64";

export * from "./_pairs";

/**
 * out[i] += sum of weights[r] * rows[r][i] over 8 * groups rows. table: their pointers, u32; out: float64, rows and
 * weights: float32. Eight products are added in float32, then the partial sum in float64: the error stays under 8 units
 * in the last place of the largest partial sum, however many rows there are.
 */
export function weightedSum(out: usize, table: usize, weights: usize, groups: i32, length: i32): void {
  for (let g = 0; g < groups; g++) {
    addEight(out, table, 0, weights, length);
    table += 32;
    weights += 32;
  }
}

/** The values from byte at on. Eight rows side by side: the processor's prefetching stops at the end of each page. */
function addEight(out: usize, table: usize, at: usize, weights: usize, length: i32): void {
  const w0 = v128.load_splat<f32>(weights);
  const w1 = v128.load_splat<f32>(weights, 4);
  const w2 = v128.load_splat<f32>(weights, 8);
  const w3 = v128.load_splat<f32>(weights, 12);
  const w4 = v128.load_splat<f32>(weights, 16);
  const w5 = v128.load_splat<f32>(weights, 20);
  const w6 = v128.load_splat<f32>(weights, 24);
  const w7 = v128.load_splat<f32>(weights, 28);
  const r0 = rowAt(table, 0) + at;
  const r1 = rowAt(table, 1) + at;
  const r2 = rowAt(table, 2) + at;
  const r3 = rowAt(table, 3) + at;
  const r4 = rowAt(table, 4) + at;
  const r5 = rowAt(table, 5) + at;
  const r6 = rowAt(table, 6) + at;
  const r7 = rowAt(table, 7) + at;
  const end = (<usize>length) << 2;
  for (let i: usize = 0; i < end; i += 16) {
    let s = f32x4.mul(v128.load(r0 + i), w0);
    let t = f32x4.mul(v128.load(r4 + i), w4);
    s = f32x4.add(s, f32x4.mul(v128.load(r1 + i), w1));
    t = f32x4.add(t, f32x4.mul(v128.load(r5 + i), w5));
    s = f32x4.add(s, f32x4.mul(v128.load(r2 + i), w2));
    t = f32x4.add(t, f32x4.mul(v128.load(r6 + i), w6));
    s = f32x4.add(s, f32x4.mul(v128.load(r3 + i), w3));
    t = f32x4.add(t, f32x4.mul(v128.load(r7 + i), w7));
    s = f32x4.add(s, t);
    const o = out + (i << 1);
    v128.store(o, f64x2.add(v128.load(o), f64x2.promote_low_f32x4(s)));
    v128.store(o, f64x2.add(v128.load(o, 16), f64x2.promote_low_f32x4(v128.shuffle<i32>(s, s, 2, 3, 2, 3))), 16);
  }
}

/** float64 to float32, rounded to nearest. */
export function narrow(out: usize, x: usize, length: i32): void {
  const end = out + ((<usize>length) << 2);
  while (out < end) {
    const low = f32x4.demote_f64x2_zero(v128.load(x));
    const high = f32x4.demote_f64x2_zero(v128.load(x, 16));
    v128.store(out, v128.shuffle<i32>(low, high, 0, 1, 4, 5));
    out += 16;
    x += 32;
  }
}

/** Sum of x[i] * y[i] in float64. Finite for finite float32 values: 2**27 * (2**128)**2 < 2**1024. */
export function dot(x: usize, y: usize, length: i32): f64 {
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  let c = f64x2.splat(0);
  let d = f64x2.splat(0);
  const end = x + ((<usize>length) << 2);
  while (x < end) {
    a = f64x2.add(a, f64x2.mul(widened(x), widened(y)));
    b = f64x2.add(b, f64x2.mul(widened(x + 8), widened(y + 8)));
    c = f64x2.add(c, f64x2.mul(widened(x + 16), widened(y + 16)));
    d = f64x2.add(d, f64x2.mul(widened(x + 24), widened(y + 24)));
    x += 32;
    y += 32;
  }
  return total(f64x2.add(f64x2.add(a, b), f64x2.add(c, d)));
}

/**
 * Sums of squares of count rows, an even number up to 8, in float64; a row's is not finite exactly where a value is
 * not. lanes: 8 * 64 bytes that hold the sums in eight parts each, and the first part of each the sum in the end. tile:
 * values of a row that are read before the next row has its turn, a multiple of 16.
 */
export function squares(lanes: usize, table: usize, count: i32, length: i32, tile: i32): void {
  memory.fill(lanes, 0, 8 * LANES);
  const end = (<usize>length) << 2;
  const step = (<usize>tile) << 2;
  for (let at: usize = 0; at < end; at += step) addSquares(lanes, table, count, at, min(step, end - at));
  joinLanes(lanes, count);
}

/** weightedSum of eight rows and squares of the first count of them, reading them once. */
export function measuredSum(
  out: usize,
  table: usize,
  weights: usize,
  lanes: usize,
  count: i32,
  length: i32,
  tile: i32,
): void {
  memory.fill(lanes, 0, 8 * LANES);
  const end = (<usize>length) << 2;
  const step = (<usize>tile) << 2;
  for (let at: usize = 0; at < end; at += step) {
    const bytes = min(step, end - at);
    addEight(out + (at << 1), table, at, weights, <i32>(bytes >> 2));
    addSquares(lanes, table, count, at, bytes);
  }
  joinLanes(lanes, count);
}

const LANES: usize = 64; // bytes of eight parts of a sum

function addSquares(lanes: usize, table: usize, count: i32, at: usize, bytes: usize): void {
  for (let r = 0; r < count; r += 2) {
    const x = rowAt(table, r) + at;
    addSquaresOfTwo(lanes + <usize>r * LANES, x, rowAt(table, r + 1) + at, x + bytes);
  }
}

// @ts-ignore: decorator
@inline
function addSquaresOfTwo(lanes: usize, x: usize, y: usize, end: usize): void {
  let a0 = v128.load(lanes);
  let b0 = v128.load(lanes, 16);
  let c0 = v128.load(lanes, 32);
  let d0 = v128.load(lanes, 48);
  let a1 = v128.load(lanes, 64);
  let b1 = v128.load(lanes, 80);
  let c1 = v128.load(lanes, 96);
  let d1 = v128.load(lanes, 112);
  while (x < end) {
    a0 = f64x2.add(a0, square(widened(x)));
    a1 = f64x2.add(a1, square(widened(y)));
    b0 = f64x2.add(b0, square(widened(x + 8)));
    b1 = f64x2.add(b1, square(widened(y + 8)));
    c0 = f64x2.add(c0, square(widened(x + 16)));
    c1 = f64x2.add(c1, square(widened(y + 16)));
    d0 = f64x2.add(d0, square(widened(x + 24)));
    d1 = f64x2.add(d1, square(widened(y + 24)));
    x += 32;
    y += 32;
  }
  v128.store(lanes, a0);
  v128.store(lanes, b0, 16);
  v128.store(lanes, c0, 32);
  v128.store(lanes, d0, 48);
  v128.store(lanes, a1, 64);
  v128.store(lanes, b1, 80);
  v128.store(lanes, c1, 96);
  v128.store(lanes, d1, 112);
}

function joinLanes(lanes: usize, count: i32): void {
  for (let r = 0; r < count; r++) {
    const ab = f64x2.add(v128.load(lanes), v128.load(lanes, 16));
    store<f64>(lanes, total(f64x2.add(ab, f64x2.add(v128.load(lanes, 32), v128.load(lanes, 48)))));
    lanes += LANES;
  }
}

/**
 * r[i] is the median of the other rows at a row whose scaled value is factor * x[i]: below where that lies under the
 * pivot, above where it lies over it, below + (above - pivot) where it is the pivot. Adds to out[0] the sum of x[i] *
 * r[i], to out[1] the sum of r[i] * r[i], both float64.
 */
export function dotOthers(
  out: usize,
  x: usize,
  factor: f32,
  pivot: usize,
  below: usize,
  above: usize,
  length: i32,
): void {
  const k = f32x4.splat(factor);
  let product = f64x2.splat(0);
  let size = f64x2.splat(0);
  const end = x + ((<usize>length) << 2);
  while (x < end) {
    const v = v128.load(x);
    const value = f32x4.mul(v, k);
    const p = v128.load(pivot);
    const b = v128.load(below);
    const a = v128.load(above);
    const at = f32x4.add(b, f32x4.sub(a, p));
    const r = v128.bitselect(b, v128.bitselect(a, at, f32x4.gt(value, p)), f32x4.lt(value, p));
    const low = f64x2.promote_low_f32x4(r);
    const high = f64x2.promote_low_f32x4(v128.shuffle<i32>(r, r, 2, 3, 2, 3));
    product = f64x2.add(product, f64x2.mul(low, f64x2.promote_low_f32x4(v)));
    product = f64x2.add(product, f64x2.mul(high, f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 2, 3))));
    size = f64x2.add(size, f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high)));
    x += 16;
    pivot += 16;
    below += 16;
    above += 16;
  }
  store<f64>(out, load<f64>(out) + total(product));
  store<f64>(out, load<f64>(out, 8) + total(size), 8);
}

/** x[i] *= factor. */
export function scale(x: usize, length: i32, factor: f32): void {
  const k = f32x4.splat(factor);
  const end = x + ((<usize>length) << 2);
  while (x < end) {
    v128.store(x, f32x4.mul(v128.load(x), k));
    x += 16;
  }
}

/** Applies comparators (two u16 row numbers each) to columns: the lesser value moves to the first row. */
export function exchange(rows: usize, stride: usize, length: i32, comparators: usize, count: i32): void {
  const end = comparators + ((<usize>count) << 2);
  while (comparators < end) {
    let a = rows + <usize>load<u16>(comparators) * stride;
    let b = rows + <usize>load<u16>(comparators, 2) * stride;
    for (let i = 0; i < length; i += 16) {
      exchangeFour(a, b);
      exchangeFour(a + 16, b + 16);
      exchangeFour(a + 32, b + 32);
      exchangeFour(a + 48, b + 48);
      a += 64;
      b += 64;
    }
    comparators += 4;
  }
}

// @ts-ignore: decorator
@inline
function exchangeFour(a: usize, b: usize): void {
  const x = v128.load(a);
  const y = v128.load(b);
  v128.store(a, f32x4.pmin(x, y));
  v128.store(b, f32x4.pmax(x, y));
}

/**
 * out[i] = mean of the kept values of a column nearest to the mean of its rows middle and other; out: float64. In each
 * row from first to first + kept + steps - 1 lies the column's value of that rank, float32. The kept values stand side
 * by side from one of the ranks first to first + steps, so of two values kept ranks apart one enters: the upper one
 * where it is strictly nearer, which is where their sum is less than that of the two in the middle. Returns whether in
 * some column two that are not equal are as near: there the order of the updates decides, which is lost here.
 */
export function meanAround(
  out: usize,
  rows: usize,
  stride: usize,
  middle: i32,
  other: i32,
  first: i32,
  steps: i32,
  kept: i32,
  length: i32,
): bool {
  let ties = i32x4.splat(0);
  const a = rows + <usize>middle * stride;
  const b = rows + <usize>other * stride;
  const always = rows + <usize>(first + steps) * stride;
  const window = <usize>kept * stride;
  const k = f64x2.splat(<f64>kept);
  const start = rows + <usize>first * stride;
  const end = (<usize>length) << 2;
  for (let i: usize = 0; i < end; i += 8) {
    const both = f64x2.add(widened(a + i), widened(b + i));
    let sum = f64x2.splat(0);
    for (let p = always + i; p < start + window + i; p += stride) sum = f64x2.add(sum, widened(p));
    for (let p = start + i; p < always + i; p += stride) {
      const x = widened(p);
      const y = widened(p + window);
      const pair = f64x2.add(x, y);
      sum = f64x2.add(sum, v128.bitselect(y, x, f64x2.gt(both, pair)));
      ties = v128.or(ties, v128.andnot(f64x2.eq(both, pair), f64x2.eq(x, y)));
    }
    v128.store(out + (i << 1), f64x2.div(sum, k));
  }
  return v128.any_true(ties);
}

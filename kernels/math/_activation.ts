// Activations and what else goes over arrays element by element.

import { at } from "./_simd";

/** x = max(x, 0); a NaN stays, so that the loss shows it. */
export function relu(n: i32, x: usize): void {
  const zero = f32x4.splat(0);
  const whole = at(x, n & ~3);
  const end = at(x, n);
  for (; x < whole; x += 16) v128.store(x, f32x4.pmax(v128.load(x), zero));
  for (; x < end; x += 4) if (load<f32>(x) < 0) store<f32>(x, 0);
}

/** gradient = 0 wherever the output of relu was 0 */
export function reluBackward(n: i32, output: usize, gradient: usize): void {
  const zero = f32x4.splat(0);
  const whole = at(output, n & ~3);
  const end = at(output, n);
  while (output < whole) {
    v128.store(gradient, v128.and(v128.load(gradient), f32x4.gt(v128.load(output), zero)));
    output += 16;
    gradient += 16;
  }
  while (output < end) {
    if (load<f32>(output) <= 0) store<f32>(gradient, 0);
    output += 4;
    gradient += 4;
  }
}

/** y = x * factors */
export function multiplyEach(n: i32, x: usize, factors: usize, y: usize): void {
  const whole = n & ~3;
  for (let i = 0; i < whole; i += 4) {
    v128.store(at(y, i), f32x4.mul(v128.load(at(x, i)), v128.load(at(factors, i))));
  }
  for (let i = whole; i < n; i++) store<f32>(at(y, i), load<f32>(at(x, i)) * load<f32>(at(factors, i)));
}

/** y (columns x rows) = x (rows x columns), transposed. */
export function transpose(rows: i32, columns: i32, x: usize, y: usize): void {
  for (let j = 0; j < columns; j++) {
    for (let i = 0; i < rows; i++) store<f32>(at(y, j * rows + i), load<f32>(at(x, i * columns + j)));
  }
}

const SQRT_HALF: f32 = 0.7071067811865476;
const INVERSE_SQRT_2PI: f32 = 0.3989422804014327;

/** exp(-x^2 / 2), by Cody and Waite's reduction and the polynomial of Cephes expf; 2^-126 at the least. */
// @ts-ignore: decorator
@inline
function bell(x: v128): v128 {
  const exponent = f32x4.max(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5)), f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(exponent, f32x4.splat(1.44269504088896341)));
  let r = f32x4.sub(exponent, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(p, r), r), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(p, power);
}

/**
 * The distribution function of the normal distribution, where e = bell(x): Abramowitz and Stegun 7.1.26, whose error
 * in erf is at most 1.5e-7.
 */
// @ts-ignore: decorator
@inline
function normalShare(x: v128, e: v128): v128 {
  const one = f32x4.splat(1);
  const u = f32x4.mul(f32x4.abs(x), f32x4.splat(SQRT_HALF));
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(u, f32x4.splat(0.3275911))));
  let p = f32x4.splat(1.061405429);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.453152027));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592));
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(p, t), e), f32x4.splat(0.5));
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)));
}

/** y = x * P(normal variate <= x). Goes on to a multiple of 4 elements. */
export function gelu(n: i32, x: usize, y: usize): void {
  for (let i = 0; i < n; i += 4) {
    const v = v128.load(at(x, i));
    v128.store(at(y, i), f32x4.mul(v, normalShare(v, bell(v))));
  }
}

/** dx = dy * (P(normal variate <= x) + x * density(x)). Goes on to a multiple of 4 elements. */
export function geluBackward(n: i32, x: usize, dy: usize, dx: usize): void {
  for (let i = 0; i < n; i += 4) {
    const v = v128.load(at(x, i));
    const e = bell(v);
    const slope = f32x4.add(normalShare(v, e), f32x4.mul(f32x4.mul(v, e), f32x4.splat(INVERSE_SQRT_2PI)));
    v128.store(at(dx, i), f32x4.mul(v128.load(at(dy, i)), slope));
  }
}

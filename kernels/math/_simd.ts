// What the training kernels share: addresses of float32 elements, and the multiply-add that tells the builds apart, of
// one vector or along arrays.

/** First byte that the caller may use. */
export function heapBase(): usize {
  return (__heap_base + 63) & ~(<usize>63);
}

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

// @ts-ignore: decorator
@inline
export function at(base: usize, index: i32): usize {
  return base + ((<usize>index) << 2);
}

/** y = x * factors + z, element by element. */
// @ts-ignore: decorator
@inline
export function multiplyAdd(n: i32, x: usize, factors: usize, z: usize, y: usize): void {
  const whole = n & ~3;
  for (let i = 0; i < whole; i += 4) {
    v128.store(at(y, i), madd(v128.load(at(x, i)), v128.load(at(factors, i)), v128.load(at(z, i))));
  }
  for (let i = whole; i < n; i++) {
    store<f32>(at(y, i), load<f32>(at(x, i)) * load<f32>(at(factors, i)) + load<f32>(at(z, i)));
  }
}

/** y += alpha * x */
export function axpy(n: i32, alpha: f32, x: usize, y: usize): void {
  const wide = f32x4.splat(alpha);
  const whole = at(y, n & ~3);
  const end = at(y, n);
  while (y < whole) {
    v128.store(y, madd(v128.load(x), wide, v128.load(y)));
    x += 16;
    y += 16;
  }
  while (y < end) {
    store<f32>(y, load<f32>(y) + alpha * load<f32>(x));
    x += 4;
    y += 4;
  }
}

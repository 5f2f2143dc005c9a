// What the training kernels share: addresses of float32 elements, and the multiply-add that tells the builds apart.

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

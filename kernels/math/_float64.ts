// What reductions share: rows by number, and pairs of values in float64.

// @ts-ignore: decorator
@inline
export function rowAt(table: usize, row: i32): usize {
  return <usize>load<u32>(table + (<usize>row << 2));
}

// @ts-ignore: decorator
@inline
export function widened(x: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load_zero<f64>(x));
}

// @ts-ignore: decorator
@inline
export function total(a: v128): f64 {
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

// @ts-ignore: decorator
@inline
export function square(a: v128): v128 {
  return f64x2.mul(a, a);
}

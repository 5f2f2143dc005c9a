// One step of an optimizer over all parameters w. Each adds the pull of the proximal term, mu * (w - anchor), and of
// L2 decay, decay * w, to the gradient, and leaves the gradient zero.

import { at, madd } from "./_simd";

/** w -= rate * gradient */
export function descend(n: i32, rate: f32, gradient: usize, w: usize): void {
  const zero = f32x4.splat(0);
  const wide = f32x4.splat(-rate);
  const whole = n & ~3;
  for (let i = 0; i < whole; i += 4) {
    v128.store(at(w, i), madd(v128.load(at(gradient, i)), wide, v128.load(at(w, i))));
    v128.store(at(gradient, i), zero);
  }
  for (let i = whole; i < n; i++) {
    store<f32>(at(w, i), load<f32>(at(w, i)) - rate * load<f32>(at(gradient, i)));
    store<f32>(at(gradient, i), 0);
  }
}

/** The gradient with the pull of the proximal term and of decay; leaves zero in its place. */
// @ts-ignore: decorator
@inline
function takeGradient(gradient: usize, w: v128, anchor: v128, mu: v128, decay: v128): v128 {
  const g = madd(mu, f32x4.sub(w, anchor), v128.load(gradient));
  v128.store(gradient, f32x4.splat(0));
  return madd(decay, w, g);
}

/** velocity = momentum * velocity + gradient;  w -= rate * velocity. Goes on to a multiple of 4 elements. */
export function sgdStep(
  n: i32,
  rate: f32,
  momentum: f32,
  mu: f32,
  decay: f32,
  gradient: usize,
  anchor: usize,
  velocity: usize,
  w: usize,
): void {
  const wideRate = f32x4.splat(-rate);
  const wideMomentum = f32x4.splat(momentum);
  const wideMu = f32x4.splat(mu);
  const wideDecay = f32x4.splat(decay);
  for (let i = 0; i < n; i += 4) {
    const before = v128.load(at(w, i));
    const g = takeGradient(at(gradient, i), before, v128.load(at(anchor, i)), wideMu, wideDecay);
    const v = madd(wideMomentum, v128.load(at(velocity, i)), g);
    v128.store(at(velocity, i), v);
    v128.store(at(w, i), madd(wideRate, v, before));
  }
}

/**
 * first = beta1 * first + (1 - beta1) * gradient;  second = beta2 * second + (1 - beta2) * gradient^2;
 * w = kept * w - rate * first / (sqrt(second / correction) + epsilon). Goes on to a multiple of 4 elements.
 * rate: divided by the correction of the first moment already. kept: 1 less what decoupled decay takes.
 */
export function adamStep(
  n: i32,
  rate: f32,
  beta1: f64, // 1 - beta2 in float32 would be wrong in its fifth digit
  beta2: f64,
  epsilon: f32,
  correction: f32,
  mu: f32,
  decay: f32,
  kept: f32,
  gradient: usize,
  anchor: usize,
  first: usize,
  second: usize,
  w: usize,
): void {
  const wideRate = f32x4.splat(-rate);
  const old1 = f32x4.splat(<f32>beta1);
  const new1 = f32x4.splat(<f32>(1 - beta1));
  const old2 = f32x4.splat(<f32>beta2);
  const new2 = f32x4.splat(<f32>(1 - beta2));
  const wideEpsilon = f32x4.splat(epsilon);
  const scale = f32x4.splat(1 / correction);
  const wideMu = f32x4.splat(mu);
  const wideDecay = f32x4.splat(decay);
  const wideKept = f32x4.splat(kept);
  for (let i = 0; i < n; i += 4) {
    const before = v128.load(at(w, i));
    const g = takeGradient(at(gradient, i), before, v128.load(at(anchor, i)), wideMu, wideDecay);
    const m = madd(old1, v128.load(at(first, i)), f32x4.mul(new1, g));
    const v = madd(old2, v128.load(at(second, i)), f32x4.mul(new2, f32x4.mul(g, g)));
    const way = f32x4.div(m, f32x4.add(f32x4.sqrt(f32x4.mul(v, scale)), wideEpsilon));
    v128.store(at(first, i), m);
    v128.store(at(second, i), v);
    v128.store(at(w, i), madd(wideRate, way, f32x4.mul(wideKept, before)));
  }
}

// Pooling over square windows of one image, channels last, without padding. In the width of a vector where the channels
// allow it.

import { at, madd } from "./_simd";

/** y (height x width x channels): the largest value of each window of x. A NaN wins. */
export function maxPool(
  height: i32,
  width: i32,
  channels: i32,
  size: i32,
  step: i32,
  rowStep: i32,
  pitch: i32,
  x: usize,
  y: usize,
): void {
  const whole = channels & ~3;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const corner = at(x, i * rowStep + j * step);
      for (let c = 0; c < whole; c += 4) {
        let top = v128.load(at(corner, c));
        for (let a = 0; a < size; a++) {
          for (let b = 0; b < size; b++) top = f32x4.max(top, v128.load(at(corner, a * pitch + b * channels + c)));
        }
        v128.store(at(y, c), top);
      }
      for (let c = whole; c < channels; c++) {
        let top = load<f32>(at(corner, c));
        for (let a = 0; a < size; a++) {
          for (let b = 0; b < size; b++) top = max<f32>(top, load<f32>(at(corner, a * pitch + b * channels + c)));
        }
        store<f32>(at(y, c), top);
      }
      y = at(y, channels);
    }
  }
}

/** dx += dy at the first place of each window where x is the window's largest value y. */
export function maxPoolBackward(
  height: i32,
  width: i32,
  channels: i32,
  size: i32,
  step: i32,
  rowStep: i32,
  pitch: i32,
  x: usize,
  y: usize,
  dy: usize,
  dx: usize,
): void {
  const whole = channels & ~3;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const corner = i * rowStep + j * step;
      for (let c = 0; c < whole; c += 4) {
        const top = v128.load(at(y, c));
        let open = v128.load(at(dy, c));
        for (let a = 0; a < size; a++) {
          for (let b = 0; b < size; b++) {
            const place = corner + a * pitch + b * channels + c;
            const isTop = f32x4.eq(v128.load(at(x, place)), top);
            const to = at(dx, place);
            v128.store(to, f32x4.add(v128.load(to), v128.and(open, isTop)));
            open = v128.andnot(open, isTop);
          }
        }
      }
      for (let c = whole; c < channels; c++) {
        const to = at(dx, firstTop(corner + c, channels, size, pitch, x, load<f32>(at(y, c))));
        store<f32>(to, load<f32>(to) + load<f32>(at(dy, c)));
      }
      y = at(y, channels);
      dy = at(dy, channels);
    }
  }
}

/** The place of the first value of the window that equals top; the corner where none does, as among NaN. */
function firstTop(corner: i32, channels: i32, size: i32, pitch: i32, x: usize, top: f32): i32 {
  for (let a = 0; a < size; a++) {
    for (let b = 0; b < size; b++) {
      const place = corner + a * pitch + b * channels;
      if (load<f32>(at(x, place)) == top) return place;
    }
  }
  return corner;
}

/** y (height x width x channels): the mean of each window of x. */
export function averagePool(
  height: i32,
  width: i32,
  channels: i32,
  size: i32,
  step: i32,
  rowStep: i32,
  pitch: i32,
  x: usize,
  y: usize,
): void {
  const share: f32 = 1 / <f32>(size * size);
  memory.fill(y, 0, at(0, height * width * channels));
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const corner = at(x, i * rowStep + j * step);
      for (let a = 0; a < size; a++) {
        for (let b = 0; b < size; b++) addScaled(channels, share, at(corner, a * pitch + b * channels), y);
      }
      y = at(y, channels);
    }
  }
}

/** dx += each dy, shared out evenly over its window. */
export function averagePoolBackward(
  height: i32,
  width: i32,
  channels: i32,
  size: i32,
  step: i32,
  rowStep: i32,
  pitch: i32,
  dy: usize,
  dx: usize,
): void {
  const share: f32 = 1 / <f32>(size * size);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const corner = at(dx, i * rowStep + j * step);
      for (let a = 0; a < size; a++) {
        for (let b = 0; b < size; b++) addScaled(channels, share, dy, at(corner, a * pitch + b * channels));
      }
      dy = at(dy, channels);
    }
  }
}

function addScaled(n: i32, factor: f32, x: usize, y: usize): void {
  const wide = f32x4.splat(factor);
  const whole = n & ~3;
  for (let i = 0; i < whole; i += 4) {
    v128.store(at(y, i), madd(v128.load(at(x, i)), wide, v128.load(at(y, i))));
  }
  for (let i = whole; i < n; i++) store<f32>(at(y, i), load<f32>(at(y, i)) + factor * load<f32>(at(x, i)));
}

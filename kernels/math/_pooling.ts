// Pooling over square windows of one image, channels last, without padding. A window is size x size positions; the
// corners of neighbouring windows lie step elements apart in a row and rowStep from row to row, the rows of x pitch.

import { at, axpy } from "./_simd";

/** y (height x width x channels): the largest value of each window of x. A NaN wins. Goes on to whole vectors. */
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
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const corner = at(x, i * rowStep + j * step);
      for (let c = 0; c < channels; c += 4) {
        let top = v128.load(at(corner, c));
        for (let a = 0; a < size; a++) {
          for (let b = 0; b < size; b++) top = f32x4.max(top, v128.load(at(corner, a * pitch + b * channels + c)));
        }
        // The lanes past the last channel are the next position's, which is written later.
        v128.store(at(y, c), top);
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

/** y (height x width x channels) += the mean of each window of x; backward: x += each y, shared out over its window. */
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
  isBackward: bool,
): void {
  const share: f32 = 1 / <f32>(size * size);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const corner = at(x, i * rowStep + j * step);
      for (let a = 0; a < size; a++) {
        for (let b = 0; b < size; b++) {
          const place = at(corner, a * pitch + b * channels);
          if (isBackward) axpy(channels, share, y, place);
          else axpy(channels, share, place, y);
        }
      }
      y = at(y, channels);
    }
  }
}

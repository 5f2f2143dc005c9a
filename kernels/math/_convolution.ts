// Direct convolution, channels last, without a copy of patches: a tile of 6 output positions x 8 output channels walks
// over the kernel's rows, and along one row of the kernel the inputs of a position lie contiguous (width x channels).
//
// x is padded already: rows x padded height x padded width x channels. Weights are packed in tiles of 8 output
// channels: tile, kernel row, kernel column x input channel, channel of the tile. A stretch is one row of the kernel.

import { at } from "./_simd";
import { GATHERED, MR, multiplyTile, NEIGHBOURS, NR, POSITIONS } from "./_tile";

/**
 * y (height x width x outputs) of one image x. stretch: kernel width x input channels. step: elements from one output
 * position to the next, rowStep: from one output row to the next. bias: as many as outputs, filled up to whole tiles.
 */
export function convolve(
  height: i32,
  width: i32,
  outputs: i32,
  kernelRows: i32,
  stretch: i32,
  pitch: i32,
  step: i32,
  rowStep: i32,
  x: usize,
  weights: usize,
  bias: usize,
  y: usize,
): void {
  const count = height * width;
  for (let j = 0; j < outputs; j += NR) {
    let column = 0;
    let row = x;
    for (let i = 0; i < count; i += MR) {
      for (let r = 0; r < MR; r++) {
        store<u32>(at(POSITIONS, r), <u32>at(row, column * step));
        // Past the last position: its address again; what comes of it is not stored.
        if (i + r >= count - 1) continue;
        column++;
        if (column == width) {
          column = 0;
          row = at(row, rowStep);
        }
      }
      const rows = min(MR, count - i);
      const columns = min(NR, outputs - j);
      const to = at(y, i * outputs + j);
      const start = at(bias, j);
      multiplyTile(GATHERED, kernelRows, stretch, 0, 1, pitch, weights, NR, start, rows, columns, to, outputs, false);
    }
    weights = at(weights, kernelRows * stretch * NR);
  }
}

/**
 * Adds the gradient of the packed weights for one image to sums. May read, and ignores, up to 5 elements behind the
 * image and 7 behind dy; the lanes past the last output channel get sums of no meaning.
 */
export function convolveWeights(
  height: i32,
  width: i32,
  outputs: i32,
  kernelRows: i32,
  stretch: i32,
  pitch: i32,
  step: i32,
  rowStep: i32,
  x: usize,
  dy: usize,
  sums: usize,
): void {
  for (let j = 0; j < outputs; j += NR) {
    for (let ky = 0; ky < kernelRows; ky++) {
      for (let t = 0; t < stretch; t += MR) {
        const from = at(x, ky * pitch + t);
        const inside = min(MR, stretch - t);
        const to = at(sums, t * NR);
        multiplyTile(NEIGHBOURS, height, width, from, step, rowStep, at(dy, j), outputs, 0, inside, NR, to, NR, true);
      }
      sums = at(sums, stretch * NR);
    }
  }
}

/**
 * Lays an image of height x width x channels (channels contiguous) into a larger one: step and rowStep are the elements
 * between neighbouring positions and rows of y. What lies between stays as it is.
 */
export function place(height: i32, width: i32, channels: i32, step: i32, rowStep: i32, x: usize, y: usize): void {
  for (let i = 0; i < height; i++) {
    if (step == channels) {
      memory.copy(at(y, i * rowStep), at(x, i * width * channels), at(0, width * channels));
      continue;
    }
    for (let j = 0; j < width; j++) {
      memory.copy(at(y, i * rowStep + j * step), at(x, (i * width + j) * channels), at(0, channels));
    }
  }
}

/**
 * Packs weights whose element (output, input, place) stands at output * outputStride + input * inputStride + place, or,
 * flipped, with the places of the kernel in reverse order. Lanes past the last output are zero.
 */
export function packWeights(
  outputs: i32,
  inputs: i32,
  places: i32,
  outputStride: i32,
  inputStride: i32,
  isFlipped: bool,
  weights: usize,
  packed: usize,
): void {
  for (let o = 0; o < outputs; o += NR) {
    for (let s = 0; s < places; s++) {
      const place = isFlipped ? places - 1 - s : s;
      for (let i = 0; i < inputs; i++) {
        const from = i * inputStride + place;
        for (let lane = o; lane < o + NR; lane++) {
          store<f32>(packed, lane < outputs ? load<f32>(at(weights, lane * outputStride + from)) : 0);
          packed += 4;
        }
      }
    }
  }
}

/** weights (outputs x inputs x places) += what packWeights would have packed, unflipped. */
export function addPacked(outputs: i32, inputs: i32, places: i32, packed: usize, weights: usize): void {
  for (let o = 0; o < outputs; o++) {
    const tile = at(packed, (o / NR) * places * inputs * NR + (o % NR));
    for (let i = 0; i < inputs; i++) {
      for (let s = 0; s < places; s++) {
        const to = at(weights, (o * inputs + i) * places + s);
        store<f32>(to, load<f32>(to) + load<f32>(at(tile, (s * inputs + i) * NR)));
      }
    }
  }
}

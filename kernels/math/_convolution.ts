// Direct convolution, channels last, without a copy of patches: a tile of 6 output positions x 8 output channels walks
// over the kernel's rows, and along one row of the kernel the inputs of a position lie contiguous (width x channels).
//
// x is padded already: rows x padded height x padded width x channels. Weights are packed in tiles of 8 output
// channels: tile, kernel row, kernel column x input channel, channel of the tile. A stretch is one row of the kernel.

import { at, madd } from "./_simd";

const MR: i32 = 6;
const NR: i32 = 8;

const TILE: usize = memory.data(192, 64); // MR * NR * 4
const POSITIONS: usize = memory.data(24, 64); // MR * 4

/**
 * The tile at the 6 addresses of POSITIONS into TILE, which starts from the bias. pitch: elements from one row of the
 * padded input to the next.
 */
function convolveTile(kernelRows: i32, stretch: i32, pitch: i32, weights: usize, bias: usize): void {
  const low = v128.load(bias);
  const high = v128.load(bias, 16);
  let c00 = low, c01 = high;
  let c10 = low, c11 = high;
  let c20 = low, c21 = high;
  let c30 = low, c31 = high;
  let c40 = low, c41 = high;
  let c50 = low, c51 = high;
  const skipped = at(0, pitch - stretch);
  let p0 = <usize>load<u32>(POSITIONS);
  let p1 = <usize>load<u32>(POSITIONS, 4);
  let p2 = <usize>load<u32>(POSITIONS, 8);
  let p3 = <usize>load<u32>(POSITIONS, 12);
  let p4 = <usize>load<u32>(POSITIONS, 16);
  let p5 = <usize>load<u32>(POSITIONS, 20);
  for (let ky = 0; ky < kernelRows; ky++) {
    const end = at(p0, stretch);
    while (p0 < end) {
      const w0 = v128.load(weights);
      const w1 = v128.load(weights, 16);
      let t = v128.load_splat<f32>(p0);
      c00 = madd(t, w0, c00);
      c01 = madd(t, w1, c01);
      t = v128.load_splat<f32>(p1);
      c10 = madd(t, w0, c10);
      c11 = madd(t, w1, c11);
      t = v128.load_splat<f32>(p2);
      c20 = madd(t, w0, c20);
      c21 = madd(t, w1, c21);
      t = v128.load_splat<f32>(p3);
      c30 = madd(t, w0, c30);
      c31 = madd(t, w1, c31);
      t = v128.load_splat<f32>(p4);
      c40 = madd(t, w0, c40);
      c41 = madd(t, w1, c41);
      t = v128.load_splat<f32>(p5);
      c50 = madd(t, w0, c50);
      c51 = madd(t, w1, c51);
      p0 += 4;
      p1 += 4;
      p2 += 4;
      p3 += 4;
      p4 += 4;
      p5 += 4;
      weights += 32;
    }
    p0 += skipped;
    p1 += skipped;
    p2 += skipped;
    p3 += skipped;
    p4 += skipped;
    p5 += skipped;
  }
  v128.store(TILE, c00);
  v128.store(TILE, c01, 16);
  v128.store(TILE, c10, 32);
  v128.store(TILE, c11, 48);
  v128.store(TILE, c20, 64);
  v128.store(TILE, c21, 80);
  v128.store(TILE, c30, 96);
  v128.store(TILE, c31, 112);
  v128.store(TILE, c40, 128);
  v128.store(TILE, c41, 144);
  v128.store(TILE, c50, 160);
  v128.store(TILE, c51, 176);
}

/** The first positions x channels of TILE to y, whose positions are yPitch elements apart. */
function storeTile(positions: i32, channels: i32, y: usize, yPitch: i32): void {
  for (let r = 0; r < positions; r++) {
    const from = TILE + (<usize>(r * NR) << 2);
    if (channels == NR) {
      v128.store(y, v128.load(from));
      v128.store(y, v128.load(from, 16), 16);
    } else {
      for (let j = 0; j < channels; j++) store<f32>(at(y, j), load<f32>(at(from, j)));
    }
    y = at(y, yPitch);
  }
}

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
      const inside = min(MR, count - i);
      for (let r = 0; r < MR; r++) {
        // Past the last position: its address again; what comes of it is not stored.
        store<u32>(at(POSITIONS, r), <u32>at(row, column * step));
        if (r >= inside - 1) continue;
        column++;
        if (column == width) {
          column = 0;
          row = at(row, rowStep);
        }
      }
      column++;
      if (column == width) {
        column = 0;
        row = at(row, rowStep);
      }
      convolveTile(kernelRows, stretch, pitch, weights, at(bias, j));
      storeTile(inside, min(NR, outputs - j), at(y, i * outputs + j), outputs);
    }
    weights = at(weights, kernelRows * stretch * NR);
  }
}

/** sums (6 x 8 at their place) += over all positions: 6 neighbouring inputs x 8 neighbouring output gradients. */
function correlateTile(
  height: i32,
  width: i32,
  outputs: i32,
  step: i32,
  rowStep: i32,
  x: usize,
  dy: usize,
): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  let c40 = zero, c41 = zero;
  let c50 = zero, c51 = zero;
  const stepBytes = at(0, step);
  const rowBytes = at(0, rowStep);
  const dyBytes = at(0, outputs);
  for (let i = 0; i < height; i++) {
    let p = x;
    const end = x + stepBytes * width;
    while (p < end) {
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      let t = v128.load_splat<f32>(p);
      c00 = madd(t, g0, c00);
      c01 = madd(t, g1, c01);
      t = v128.load_splat<f32>(p, 4);
      c10 = madd(t, g0, c10);
      c11 = madd(t, g1, c11);
      t = v128.load_splat<f32>(p, 8);
      c20 = madd(t, g0, c20);
      c21 = madd(t, g1, c21);
      t = v128.load_splat<f32>(p, 12);
      c30 = madd(t, g0, c30);
      c31 = madd(t, g1, c31);
      t = v128.load_splat<f32>(p, 16);
      c40 = madd(t, g0, c40);
      c41 = madd(t, g1, c41);
      t = v128.load_splat<f32>(p, 20);
      c50 = madd(t, g0, c50);
      c51 = madd(t, g1, c51);
      p += stepBytes;
      dy += dyBytes;
    }
    x += rowBytes;
  }
  v128.store(TILE, c00);
  v128.store(TILE, c01, 16);
  v128.store(TILE, c10, 32);
  v128.store(TILE, c11, 48);
  v128.store(TILE, c20, 64);
  v128.store(TILE, c21, 80);
  v128.store(TILE, c30, 96);
  v128.store(TILE, c31, 112);
  v128.store(TILE, c40, 128);
  v128.store(TILE, c41, 144);
  v128.store(TILE, c50, 160);
  v128.store(TILE, c51, 176);
}

function addTile(rows: i32, sums: usize): void {
  for (let i = 0; i < rows * NR; i += 4) {
    v128.store(at(sums, i), f32x4.add(v128.load(at(sums, i)), v128.load(at(TILE, i))));
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
        correlateTile(height, width, outputs, step, rowStep, at(x, ky * pitch + t), at(dy, j));
        addTile(min(MR, stretch - t), at(sums, t * NR));
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

// What the training kernels export. Addresses are bytes in the kernel's memory, lengths and strides are elements; what
// each does stands at its source.

/** Output positions, channels of the output, and the way over the padded input. */
export type ConvolutionWalk = readonly [
  height: number,
  width: number,
  outputs: number,
  kernelRows: number,
  stretch: number,
  pitch: number,
  step: number,
  rowStep: number,
];

export type Windows = readonly [
  height: number,
  width: number,
  channels: number,
  size: number,
  step: number,
  rowStep: number,
  pitch: number,
];

export interface TrainingKernel {
  heapBase(): number;
  // kernels/math/_gemm.ts
  sgemm(
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aColumn: number,
    b: number,
    bRow: number,
    bColumn: number,
    c: number,
    accumulate: number,
  ): void;
  addBias(rows: number, columns: number, bias: number, x: number): void;
  addRows(rows: number, columns: number, x: number, sums: number): void;
  // kernels/math/_convolution.ts
  convolve(...args: [...ConvolutionWalk, x: number, weights: number, bias: number, y: number]): void;
  convolveWeights(...args: [...ConvolutionWalk, x: number, dy: number, sums: number]): void;
  place(height: number, width: number, channels: number, step: number, rowStep: number, x: number, y: number): void;
  packWeights(
    outputs: number,
    inputs: number,
    places: number,
    outputStride: number,
    inputStride: number,
    isFlipped: number,
    weights: number,
    packed: number,
  ): void;
  addPacked(outputs: number, inputs: number, places: number, packed: number, weights: number): void;
  // kernels/math/_pooling.ts
  maxPool(...args: [...Windows, x: number, y: number]): void;
  maxPoolBackward(...args: [...Windows, x: number, y: number, dy: number, dx: number]): void;
  averagePool(...args: [...Windows, x: number, y: number, isBackward: number]): void;
  // kernels/math/_normalisation.ts
  normalise(
    rows: number,
    positions: number,
    channels: number,
    groups: number,
    epsilon: number,
    x: number,
    normalised: number,
    deviations: number,
  ): void;
  normaliseBackward(
    rows: number,
    positions: number,
    channels: number,
    groups: number,
    normalised: number,
    deviations: number,
    gradient: number,
  ): void;
  scaleRows(rows: number, columns: number, x: number, scale: number, shift: number, y: number): void;
  addProducts(rows: number, columns: number, x: number, y: number, sums: number): void;
  // kernels/math/_activation.ts
  relu(n: number, x: number): void;
  reluBackward(n: number, output: number, gradient: number): void;
  multiplyEach(n: number, x: number, factors: number, y: number): void;
  transpose(rows: number, columns: number, x: number, y: number): void;
  gelu(n: number, x: number, y: number): void;
  geluBackward(n: number, x: number, dy: number, dx: number): void;
  // kernels/math/_optimizer.ts
  descend(n: number, rate: number, gradient: number, w: number): void;
  sgdStep(
    n: number,
    rate: number,
    momentum: number,
    mu: number,
    decay: number,
    gradient: number,
    anchor: number,
    velocity: number,
    w: number,
  ): void;
  adamStep(
    n: number,
    rate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    correction: number,
    mu: number,
    decay: number,
    kept: number,
    gradient: number,
    anchor: number,
    first: number,
    second: number,
    w: number,
  ): void;
}

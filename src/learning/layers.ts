// Layers with explicit backward passes, on the kernels. Activations are rows x width, an example a row; weights are
// outputs x inputs. Gradients are of the loss summed over the rows, times the factor given to the loss.

import { type Gemm, rowMajor, transposed } from "../math/gemm.ts";

/** Views of one dense layer: y = x W^T + b. */
export interface DenseLayer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly weightGradient: Float32Array;
  readonly biasGradient: Float32Array;
}

export function denseForward(gemm: Gemm, layer: DenseLayer, rows: number, x: Float32Array, y: Float32Array): void {
  const { inputs, outputs } = layer;
  const weight = transposed(rowMajor(layer.weight, inputs));
  gemm.multiply(rows, outputs, inputs, rowMajor(x, inputs), weight, y, false);
  gemm.addBias(rows, layer.bias, y);
}

/** Adds dL/dW and dL/db to the layer's gradients, given dL/dy. */
export function denseBackward(gemm: Gemm, layer: DenseLayer, rows: number, x: Float32Array, dy: Float32Array): void {
  const { inputs, outputs } = layer;
  const dyColumns = transposed(rowMajor(dy, outputs));
  gemm.multiply(outputs, inputs, rows, dyColumns, rowMajor(x, inputs), layer.weightGradient, true);
  gemm.addRows(rows, dy, layer.biasGradient);
}

/** dx = dL/dx, given dy = dL/dy. */
export function denseBackwardInput(
  gemm: Gemm,
  layer: DenseLayer,
  rows: number,
  dy: Float32Array,
  dx: Float32Array,
): void {
  const { inputs, outputs } = layer;
  gemm.multiply(rows, inputs, outputs, rowMajor(dy, outputs), rowMajor(layer.weight, inputs), dx, false);
}

/**
 * Cross-entropy of the softmax of the logits (rows x classes), summed over the rows, in nats.
 * gradient (rows x classes), where given, becomes factor * (softmax - one-hot label).
 */
export function softmaxCrossEntropy(
  rows: number,
  classes: number,
  logits: Float32Array,
  labels: ArrayLike<number>,
  factor: number,
  gradient: Float32Array | undefined,
): number {
  let loss = 0;
  for (let i = 0; i < rows; i++) {
    const row = i * classes;
    const logSum = logSumExp(logits, row, classes);
    loss += logSum - logits[row + labels[i]];
    if (gradient === undefined) continue;
    for (let j = 0; j < classes; j++) gradient[row + j] = factor * Math.exp(logits[row + j] - logSum);
    gradient[row + labels[i]] -= factor;
  }
  return loss;
}

/** Shifted by the largest value, so that exp cannot overflow. */
function logSumExp(values: Float32Array, start: number, length: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < length; j++) top = Math.max(top, values[start + j]);
  let sum = 0;
  for (let j = 0; j < length; j++) sum += Math.exp(values[start + j] - top);
  return top + Math.log(sum);
}

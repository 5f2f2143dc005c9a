// What training makes small. Each gives the loss of the first rows, summed, and where a gradient is given fills it with
// factor times the derivative of that sum.

import { type Of, oneOf } from "../core/shape.ts";

/** "cross-entropy" of the softmax, or "mse": mean squared distance to the one-hot label. */
export const lossShape = oneOf("cross-entropy", "mse");

export type LossKind = Of<typeof lossShape>;

/** outputs, gradient: rows x classes. labels: rows. */
type Loss = (
  rows: number,
  classes: number,
  outputs: Float32Array,
  labels: ArrayLike<number>,
  factor: number,
  gradient: Float32Array | undefined,
) => number;

/** In nats. */
const softmaxCrossEntropy: Loss = (rows, classes, logits, labels, factor, gradient) => {
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
};

/** Of an example: the mean over the classes of (output - one-hot label)^2. */
const squaredError: Loss = (rows, classes, outputs, labels, factor, gradient) => {
  let loss = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < classes; j++) {
      const off = outputs[i * classes + j] - Number(labels[i] === j);
      loss += (off * off) / classes;
      if (gradient !== undefined) gradient[i * classes + j] = (2 * factor * off) / classes;
    }
  }
  return loss;
};

export const LOSSES: Readonly<Record<LossKind, Loss>> = { "cross-entropy": softmaxCrossEntropy, mse: squaredError };

/** Shifted by the largest value, so that exp cannot overflow. */
function logSumExp(values: Float32Array, start: number, length: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < length; j++) top = Math.max(top, values[start + j]);
  let sum = 0;
  for (let j = 0; j < length; j++) sum += Math.exp(values[start + j] - top);
  return top + Math.log(sum);
}

// How good a model is on a data set.

import type { Dataset } from "./dataset.ts";
import type { Network } from "./network.ts";

export interface Evaluation {
  /** Share of examples whose largest logit is that of their label, 0 to 1; the first wins a tie. */
  readonly accuracy: number;
  /** Mean loss of the model; cross-entropy is in nats. */
  readonly loss: number;
  readonly examples: number;
}

export function evaluate(network: Network, parameters: Float32Array, dataset: Dataset): Evaluation {
  network.checkFit(dataset);
  network.load(parameters);
  const order = Int32Array.from({ length: dataset.count }, (_, i) => i);
  let correct = 0;
  let loss = 0;
  for (let start = 0; start < order.length; start += network.rowsMax) {
    const rows = order.subarray(start, start + network.rowsMax);
    const logits = network.forward(dataset, rows);
    correct += countCorrect(logits, network.classes, dataset.labels.subarray(start, start + rows.length));
    loss += network.loss(rows.length);
  }
  return { accuracy: correct / dataset.count, loss: loss / dataset.count, examples: dataset.count };
}

function countCorrect(logits: Float32Array, classes: number, labels: Int32Array): number {
  let correct = 0;
  for (let i = 0; i < labels.length; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    if (row.indexOf(row.reduce((a, b) => Math.max(a, b))) === labels[i]) correct++;
  }
  return correct;
}

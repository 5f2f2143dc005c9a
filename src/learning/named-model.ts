// Models that have a name: "softmax", "mlp" or "mlp:64,32" for hidden widths, "cnn".

import { QflareError } from "../core/error.ts";
import { DEFAULT_HIDDEN } from "./defaults.ts";
import type { LayerDescription } from "./layers/table.ts";
import { type ModelDescription, modelShape } from "./model.ts";

const MLP = /^mlp(?::(\d{1,6}(?:,\d{1,6})*))?$/;

/** Undefined where there is no such name. Throws config.invalid where the model cannot have these inputs or classes. */
export function namedModel(name: string, inputs: number, classes: number): ModelDescription | undefined {
  const mlp = MLP.exec(name);
  if (name === "softmax") return checked({ kind: "softmax", inputs, classes });
  if (name === "cnn") return checked(cnn(inputs, classes));
  if (mlp === null) return undefined;
  return checked({ kind: "mlp", inputs, hidden: mlp[1]?.split(",").map(Number) ?? DEFAULT_HIDDEN, classes });
}

/** For square images of one channel: two convolutions of 5 x 5 to 16 and 32 channels, each with ReLU and pooling. */
function cnn(inputs: number, classes: number): ModelDescription {
  const side = Math.sqrt(inputs);
  if (!Number.isInteger(side)) {
    throw new QflareError("config.invalid", `model cnn: expected square images, so a square as inputs, got ${inputs}`);
  }
  const block = (channels: number): LayerDescription[] => [
    { kind: "conv2d", channels, kernel: 5, stride: 1, padding: 2 },
    { kind: "relu" },
    { kind: "max-pool", size: 2, stride: 2 },
  ];
  const layers: LayerDescription[] = [
    ...block(16),
    ...block(32),
    { kind: "flatten" },
    { kind: "dense", outputs: classes },
  ];
  return { kind: "sequential", input: [1, side, side], layers, loss: "cross-entropy" };
}

function checked(description: ModelDescription): ModelDescription {
  try {
    return modelShape.read(description, "model");
  } catch (cause) {
    throw cause instanceof QflareError ? new QflareError("config.invalid", cause.message, { cause }) : cause;
  }
}

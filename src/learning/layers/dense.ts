// Fully connected layer: y = x W^T + b, weights outputs x inputs.

import { LIMITS } from "../../core/limits.ts";
import { type Of, object, oneOf, uint } from "../../core/shape.ts";
import { multiply, rowMajor, transposed } from "../../math/gemm.ts";
import { flat, isFlat, type Layer, type LayerPlan, type LayerRoom, PLAIN, type Size } from "./layer.ts";
import { refuse } from "./refuse.ts";

export const denseShape = object({ kind: oneOf("dense"), outputs: uint(1, LIMITS.layerWidthMax) });

export function planDense({ outputs }: Of<typeof denseShape>, input: Size, path: string): LayerPlan {
  if (!isFlat(input)) refuse(path, "a flat input: put a layer of kind flatten before it");
  const inputs = input.channels;
  return {
    ...PLAIN,
    output: flat(outputs),
    parameters: [
      { name: "weight", shape: [outputs, inputs], initial: { fanIn: inputs } },
      { name: "bias", shape: [outputs], initial: { value: 0 } },
    ],
    start: (room) => startDense(inputs, outputs, room),
  };
}

function startDense(inputs: number, outputs: number, room: LayerRoom): Layer {
  const { workspace, x, y, dx, dy } = room;
  const [weight, bias] = room.parameters;
  const [weightGradient, biasGradient] = room.gradients;
  const { run } = workspace;
  return {
    forward(rows) {
      const columns = transposed(rowMajor(weight, inputs));
      multiply(workspace, rows, outputs, inputs, rowMajor(x, inputs), columns, y, false);
      run.addBias(rows, outputs, workspace.reach(bias, outputs), workspace.reach(y, rows * outputs));
    },
    backward(rows, wantsInput) {
      const dyColumns = transposed(rowMajor(dy, outputs));
      multiply(workspace, outputs, inputs, rows, dyColumns, rowMajor(x, inputs), weightGradient, true);
      run.addRows(rows, outputs, workspace.reach(dy, rows * outputs), workspace.reach(biasGradient, outputs));
      if (!wantsInput) return;
      multiply(workspace, rows, inputs, outputs, rowMajor(dy, outputs), rowMajor(weight, inputs), dx, false);
    },
  };
}

// Activations without parameters: ReLU, and GELU (Hendrycks and Gimpel, 2016) in its exact form, by the distribution
// function of the normal distribution.

import { object, oneOf } from "../../core/shape.ts";
import { type LayerPlan, lengthOf, PLAIN, type Size } from "./layer.ts";

export const reluShape = object({ kind: oneOf("relu") });
export const geluShape = object({ kind: oneOf("gelu") });

export function planRelu(_: unknown, input: Size): LayerPlan {
  const length = lengthOf(input);
  return {
    ...PLAIN,
    output: input,
    isInPlace: true,
    start: ({ workspace, y, dy }) => ({
      forward: (rows) => workspace.run.relu(rows * length, workspace.reach(y, rows * length)),
      backward(rows, wantsInput) {
        if (!wantsInput) return;
        const [output, gradient] = [y, dy].map((array) => workspace.reach(array, rows * length));
        workspace.run.reluBackward(rows * length, output, gradient);
      },
    }),
  };
}

export function planGelu(_: unknown, input: Size): LayerPlan {
  const length = lengthOf(input);
  return {
    ...PLAIN,
    output: input,
    start: ({ workspace, x, y, dx, dy }) => ({
      forward(rows) {
        const [from, to] = [x, y].map((array) => workspace.reach(array, rows * length));
        workspace.run.gelu(rows * length, from, to);
      },
      backward(rows, wantsInput) {
        if (!wantsInput) return;
        const [input, output, gradient] = [x, dy, dx].map((array) => workspace.reach(array, rows * length));
        workspace.run.geluBackward(rows * length, input, output, gradient);
      },
    }),
  };
}

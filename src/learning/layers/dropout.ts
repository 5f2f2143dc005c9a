// Dropout (Srivastava et al., JMLR 15, 2014), inverted: in training each value is zero with the given rate, the others
// grow by 1 / (1 - rate); otherwise nothing is changed.

import { float, type Of, object, oneOf } from "../../core/shape.ts";
import { type LayerPlan, lengthOf, PLAIN, type Size } from "./layer.ts";

export const dropoutShape = object({ kind: oneOf("dropout"), rate: float(0, 0.99) });

export function planDropout({ rate }: Of<typeof dropoutShape>, input: Size): LayerPlan {
  const length = lengthOf(input);
  const dropped = Math.round(rate * 2 ** 32);
  const kept = 2 ** 32 / (2 ** 32 - dropped);
  return {
    ...PLAIN,
    output: input,
    scratch: (rowsMax) => [rowsMax * length],
    start: ({ workspace, x, y, dx, dy, scratch: [factors] }) => {
      const multiply = (rows: number, from: Float32Array, to: Float32Array): void => {
        const [fromAt, factorsAt, toAt] = [from, factors, to].map((array) => workspace.reach(array, rows * length));
        workspace.run.multiplyEach(rows * length, fromAt, factorsAt, toAt);
      };
      return {
        forward(rows, random) {
          if (random === undefined) factors.fill(1, 0, rows * length);
          else for (let i = 0; i < rows * length; i++) factors[i] = random.uint32() < dropped ? 0 : kept;
          multiply(rows, x, y);
        },
        backward(rows, wantsInput) {
          if (wantsInput) multiply(rows, dy, dx);
        },
      };
    },
  };
}

// From an image to a row of features, channel after channel: the order that the weights of a dense layer behind it
// have everywhere else.

import { object, oneOf } from "../../core/shape.ts";
import { flat, type LayerPlan, lengthOf, PLAIN, type Size } from "./layer.ts";

export const flattenShape = object({ kind: oneOf("flatten") });

export function planFlatten(_: unknown, input: Size): LayerPlan {
  const { channels, height, width } = input;
  const length = lengthOf(input);
  const positions = height * width;
  return {
    ...PLAIN,
    output: flat(length),
    start: ({ workspace, x, y, dx, dy }) => {
      const transpose = (rows: number, m: number, n: number, from: Float32Array, to: Float32Array): void => {
        const [fromAt, toAt] = [from, to].map((array) => workspace.reach(array, rows * length));
        for (let i = 0; i < rows; i++) {
          workspace.run.transpose(m, n, fromAt + 4 * i * length, toAt + 4 * i * length);
        }
      };
      return {
        forward: (rows) => transpose(rows, positions, channels, x, y),
        backward(rows, wantsInput) {
          if (wantsInput) transpose(rows, channels, positions, dy, dx);
        },
      };
    },
  };
}

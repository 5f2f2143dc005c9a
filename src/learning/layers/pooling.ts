// Pooling over square windows, without padding: the largest or the mean value of each. The gradient of the largest goes
// to the first place that has it.

import { LIMITS } from "../../core/limits.ts";
import { type Of, object, oneOf, uint } from "../../core/shape.ts";
import type { Windows } from "../../math/training-kernel.ts";
import { type Layer, type LayerPlan, type LayerRoom, lengthOf, PLAIN, type Size } from "./layer.ts";
import { refuse } from "./refuse.ts";

const side = uint(1, LIMITS.windowSideMax);

export const maxPoolShape = object({ kind: oneOf("max-pool"), size: side, stride: side });
export const averagePoolShape = object({ kind: oneOf("avg-pool"), size: side, stride: side });

type Pooling = Of<typeof maxPoolShape> | Of<typeof averagePoolShape>;

export function planPooling(description: Pooling, input: Size, path: string): LayerPlan {
  const { size, stride } = description;
  if (size > input.height || size > input.width) refuse(path, "a window that fits into the input");
  const output = {
    channels: input.channels,
    height: Math.floor((input.height - size) / stride) + 1,
    width: Math.floor((input.width - size) / stride) + 1,
  };
  return { ...PLAIN, output, start: (room) => startPooling(description, input, output, room) };
}

function startPooling({ kind, size, stride }: Pooling, input: Size, output: Size, room: LayerRoom): Layer {
  const { workspace, x, y, dx, dy } = room;
  const { run } = workspace;
  const { height, width, channels } = output;
  const pitch = input.width * channels;
  const windows: Windows = [height, width, channels, size, stride * channels, stride * pitch, pitch];
  const [xLength, yLength] = [lengthOf(input), lengthOf(output)];
  const at = (array: Float32Array, i: number, length: number): number => workspace.reach(array, 0) + 4 * i * length;
  return {
    forward(rows) {
      if (kind === "avg-pool") y.fill(0, 0, rows * yLength);
      for (let i = 0; i < rows; i++) {
        const [from, to] = [at(x, i, xLength), at(y, i, yLength)];
        if (kind === "avg-pool") run.averagePool(...windows, from, to, 0);
        else run.maxPool(...windows, from, to);
      }
    },
    backward(rows, wantsInput) {
      if (!wantsInput) return;
      dx.fill(0, 0, rows * xLength);
      for (let i = 0; i < rows; i++) {
        const [gradient, to] = [at(dy, i, yLength), at(dx, i, xLength)];
        if (kind === "avg-pool") run.averagePool(...windows, to, gradient, 1);
        else run.maxPoolBackward(...windows, at(x, i, xLength), at(y, i, yLength), gradient, to);
      }
    },
  };
}

// Normalisation that needs no batch, so that devices with few examples train the same model: over all features of an
// example (Ba, Kiros and Hinton, "Layer normalization", 2016) or over groups of its channels (Wu and He, "Group
// normalization", ECCV 2018).

import { LIMITS } from "../../core/limits.ts";
import { type Of, object, oneOf, uint } from "../../core/shape.ts";
import {
  isFlat,
  type Layer,
  type LayerPlan,
  type LayerRoom,
  lengthOf,
  type ParameterPlan,
  type Size,
} from "./layer.ts";
import { refuse } from "./refuse.ts";

/** Scale and shift of its own for each feature. */
export const layerNormShape = object({ kind: oneOf("layer-norm") });
/** Scale and shift of its own for each channel. */
export const groupNormShape = object({ kind: oneOf("group-norm"), groups: uint(1, LIMITS.layerWidthMax) });

const EPSILON = 1e-5;

export function planLayerNorm(_: Of<typeof layerNormShape>, input: Size): LayerPlan {
  const { channels, height, width } = input;
  return planNorm(input, 1, isFlat(input) ? [channels] : [channels, height, width]);
}

export function planGroupNorm({ groups }: Of<typeof groupNormShape>, input: Size, path: string): LayerPlan {
  if (input.channels % groups !== 0) refuse(path, `groups that divide the input's ${input.channels} channels`);
  return planNorm(input, groups, [input.channels]);
}

function planNorm(input: Size, groups: number, shape: readonly number[]): LayerPlan {
  const affine = shape.reduce((a, b) => a * b);
  const parameters: readonly ParameterPlan[] = [
    { name: "weight", shape, initial: { value: 1 } },
    { name: "bias", shape, initial: { value: 0 } },
  ];
  return {
    output: input,
    parameters,
    isInPlace: false,
    scratch: (rowsMax) => [rowsMax * lengthOf(input), rowsMax * groups, affine, affine, affine, affine],
    start: (room) => startNorm(input, groups, affine, room),
  };
}

function startNorm(input: Size, groups: number, affine: number, room: LayerRoom): Layer {
  const { workspace, x, y, dx, dy } = room;
  const { run } = workspace;
  const { channels } = input;
  const [normalised, deviations, scale, shift, sums, zeros] = room.scratch;
  const [weight, bias] = room.parameters;
  const [weightGradient, biasGradient] = room.gradients;
  const positions = input.height * input.width;
  const length = lengthOf(input);
  const isPerFeature = affine === length && positions > 1;
  const at = (array: Float32Array): number => workspace.reach(array, affine);

  /** Parameters are channels first where they are one for each feature. */
  function arrange(from: Float32Array, to: Float32Array): void {
    if (isPerFeature) run.transpose(channels, positions, at(from), at(to));
    else to.set(from);
  }

  /** Takes the sums; arranged uses what is zero otherwise. */
  function addGradient(gradient: Float32Array): void {
    if (isPerFeature) run.transpose(positions, channels, at(sums), at(zeros));
    const arranged = isPerFeature ? zeros : sums;
    for (let i = 0; i < affine; i++) gradient[i] += arranged[i];
    zeros.fill(0);
    sums.fill(0);
  }

  return {
    forward(rows) {
      const [from, to] = [workspace.reach(x, rows * length), workspace.reach(normalised, rows * length)];
      run.normalise(rows, positions, channels, groups, EPSILON, from, to, workspace.reach(deviations, rows * groups));
      arrange(weight, scale);
      arrange(bias, shift);
      run.scaleRows((rows * length) / affine, affine, to, at(scale), at(shift), workspace.reach(y, rows * length));
    },
    backward(rows, wantsInput) {
      const count = (rows * length) / affine;
      const [from, kept] = [workspace.reach(dy, rows * length), workspace.reach(normalised, rows * length)];
      run.addProducts(count, affine, from, kept, at(sums));
      addGradient(weightGradient);
      run.addRows(count, affine, from, at(sums));
      addGradient(biasGradient);
      if (!wantsInput) return;
      const to = workspace.reach(dx, rows * length);
      run.scaleRows(count, affine, from, at(scale), at(zeros), to);
      run.normaliseBackward(rows, positions, channels, groups, kept, workspace.reach(deviations, rows * groups), to);
    },
  };
}

// Two-dimensional convolution with a square kernel: cross-correlation, as everywhere in the field. Weights are
// outputs x inputs x kernel x kernel.

import { LIMITS } from "../../core/limits.ts";
import { type Of, object, oneOf, uint } from "../../core/shape.ts";
import { type Layer, type LayerPlan, type LayerRoom, lengthOf, type Size } from "./layer.ts";
import { refuse } from "./refuse.ts";

export const convolutionShape = object({
  kind: oneOf("conv2d"),
  channels: uint(1, LIMITS.layerWidthMax),
  kernel: uint(1, LIMITS.windowSideMax),
  stride: uint(1, LIMITS.windowSideMax),
  /** Zeros on each side. */
  padding: uint(0, LIMITS.windowSideMax - 1),
});

interface Geometry {
  readonly input: Size;
  readonly output: Size;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  /** The input with its zeros around it. */
  readonly padded: Size;
  /** The output's gradient with zeros around it and between, over which the flipped kernel gives the input's. */
  readonly spread: Size;
}

const LANES = 8; // output channels of a tile of the kernel

export function planConvolution(description: Of<typeof convolutionShape>, input: Size, path: string): LayerPlan {
  const { channels, kernel, stride, padding } = description;
  if (padding >= kernel) refuse(path, `less padding than the kernel's ${kernel}`);
  const padded = { ...input, height: input.height + 2 * padding, width: input.width + 2 * padding };
  if (kernel > padded.height || kernel > padded.width) refuse(path, "a kernel that fits into the padded input");
  const output = {
    channels,
    height: Math.floor((padded.height - kernel) / stride) + 1,
    width: Math.floor((padded.width - kernel) / stride) + 1,
  };
  const spread = { channels, height: input.height + kernel - 1, width: input.width + kernel - 1 };
  const geometry = { input, output, kernel, stride, padding, padded, spread };
  return {
    output,
    isInPlace: false,
    parameters: [
      {
        name: "weight",
        shape: [channels, input.channels, kernel, kernel],
        initial: { fanIn: input.channels * kernel * kernel },
      },
      { name: "bias", shape: [channels], initial: { value: 0 } },
    ],
    scratch: (rowsMax) => scratchOf(geometry, rowsMax),
    start: (room) => startConvolution(geometry, room),
  };
}

function tiled(channels: number): number {
  return Math.ceil(channels / LANES) * LANES;
}

/** Padded inputs, packed weights, their gradient, flipped weights, bias and zeros for whole tiles, spread gradient. */
function scratchOf({ input, output, kernel, padded, spread }: Geometry, rowsMax: number): number[] {
  const places = kernel * kernel;
  const packed = tiled(output.channels) * input.channels * places;
  const flipped = tiled(input.channels) * output.channels * places;
  return [
    ...[rowsMax * lengthOf(padded), packed, packed, flipped],
    ...[tiled(output.channels), tiled(input.channels), lengthOf(spread)],
  ];
}

function startConvolution(geometry: Geometry, room: LayerRoom): Layer {
  const { workspace, x, y, dx, dy } = room;
  const { run } = workspace;
  const { input, output, kernel, stride, padding, padded, spread } = geometry;
  const [weight, bias] = room.parameters;
  const [weightGradient, biasGradient] = room.gradients;
  const [paddedX, packed, packedGradient, flipped, tileBias, tileZeros, spreadDy] = room.scratch;
  const [inputs, outputs, places] = [input.channels, output.channels, kernel * kernel];
  const [inputLength, outputLength, paddedLength] = [input, output, padded].map(lengthOf);
  const pitch = padded.width * inputs;
  const spreadPitch = spread.width * outputs;
  const address = {
    x: workspace.reach(x, 0),
    y: workspace.reach(y, 0),
    dx: workspace.reach(dx, 0),
    dy: workspace.reach(dy, 0),
    padded: workspace.reach(paddedX, 0),
    spread: workspace.reach(spreadDy, spreadDy.length),
  };
  const [weightAt, packedAt, packedGradientAt, flippedAt] = [weight, packed, packedGradient, flipped].map((array) =>
    workspace.reach(array, array.length),
  );
  const biasAt = workspace.reach(tileBias, tileBias.length);
  const inner = 4 * (padding * pitch + padding * inputs);
  const spreadInner = 4 * ((kernel - 1 - padding) * (spreadPitch + outputs));

  function pad(rows: number): void {
    for (let i = 0; i < rows; i++) {
      const to = address.padded + 4 * i * paddedLength + inner;
      run.place(input.height, input.width, inputs, inputs, pitch, address.x + 4 * i * inputLength, to);
    }
  }

  function addWeightGradient(rows: number): void {
    packedGradient.fill(0);
    for (let i = 0; i < rows; i++) {
      run.convolveWeights(
        output.height,
        output.width,
        outputs,
        kernel,
        kernel * inputs,
        pitch,
        stride * inputs,
        stride * pitch,
        address.padded + 4 * i * paddedLength,
        address.dy + 4 * i * outputLength,
        packedGradientAt,
      );
    }
    run.addPacked(outputs, inputs, places, packedGradientAt, workspace.reach(weightGradient, weight.length));
    const positions = rows * output.height * output.width;
    run.addRows(positions, outputs, address.dy, workspace.reach(biasGradient, outputs));
  }

  function takeInputGradient(rows: number): void {
    run.packWeights(inputs, outputs, places, places, inputs * places, 1, weightAt, flippedAt);
    const zerosAt = workspace.reach(tileZeros, tileZeros.length);
    for (let i = 0; i < rows; i++) {
      run.place(
        output.height,
        output.width,
        outputs,
        stride * outputs,
        stride * spreadPitch,
        address.dy + 4 * i * outputLength,
        address.spread + spreadInner,
      );
      run.convolve(
        input.height,
        input.width,
        inputs,
        kernel,
        kernel * outputs,
        spreadPitch,
        outputs,
        spreadPitch,
        address.spread,
        flippedAt,
        zerosAt,
        address.dx + 4 * i * inputLength,
      );
    }
  }

  return {
    forward(rows) {
      run.packWeights(outputs, inputs, places, inputs * places, places, 0, weightAt, packedAt);
      tileBias.set(bias);
      pad(rows);
      for (let i = 0; i < rows; i++) {
        run.convolve(
          output.height,
          output.width,
          outputs,
          kernel,
          kernel * inputs,
          pitch,
          stride * inputs,
          stride * pitch,
          address.padded + 4 * i * paddedLength,
          packedAt,
          biasAt,
          address.y + 4 * i * outputLength,
        );
      }
    },
    backward(rows, wantsInput) {
      addWeightGradient(rows);
      if (wantsInput) takeInputGradient(rows);
    },
  };
}

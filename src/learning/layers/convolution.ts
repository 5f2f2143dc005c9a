// Two-dimensional convolution with a square kernel: cross-correlation, as everywhere in the field. Weights are
// outputs x inputs x kernel x kernel.

import { LIMITS } from "../../core/limits.ts";
import { type Of, object, oneOf, uint } from "../../core/shape.ts";
import type { ConvolutionWalk, TrainingKernel } from "../../math/training-kernel.ts";
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
const BYTES = Float32Array.BYTES_PER_ELEMENT;

// Where in the scratch.
const PACKED_GRADIENT = 2;
const BIAS = 4;

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
    start: (room) => new Convolution(geometry, room),
  };
}

function tiled(channels: number): number {
  return Math.ceil(channels / LANES) * LANES;
}

/** Padded inputs; packed weights; their gradient; flipped weights; bias and zeros for whole tiles; spread gradient. */
function scratchOf({ input, output, kernel, padded, spread }: Geometry, rowsMax: number): number[] {
  const places = kernel * kernel;
  const packed = tiled(output.channels) * input.channels * places;
  const flipped = tiled(input.channels) * output.channels * places;
  return [
    ...[rowsMax * lengthOf(padded), packed, packed, flipped],
    ...[tiled(output.channels), tiled(input.channels), lengthOf(spread)],
  ];
}

/** Addresses in kernel memory of what stays where it is. */
interface Places {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
  readonly weight: number;
  readonly padded: number;
  readonly packed: number;
  readonly packedGradient: number;
  readonly flipped: number;
  readonly bias: number;
  readonly zeros: number;
  readonly spread: number;
}

class Convolution implements Layer {
  readonly #geometry: Geometry;
  readonly #room: LayerRoom;
  readonly #run: TrainingKernel;
  readonly #at: Places;
  /** From the padded input to the output, and from the spread gradient to the input's. */
  readonly #forth: ConvolutionWalk;
  readonly #back: ConvolutionWalk;

  constructor(geometry: Geometry, room: LayerRoom) {
    const at = (array: Float32Array): number => room.workspace.reach(array, array.length);
    const { x, y, dx, dy, parameters, scratch } = room;
    const [padded, packed, packedGradient, flipped, bias, zeros, spread] = scratch.map(at);
    this.#geometry = geometry;
    this.#room = room;
    this.#run = room.workspace.run;
    this.#at = {
      ...{ x: at(x), y: at(y), dx: at(dx), dy: at(dy), weight: at(parameters[0]) },
      ...{ padded, packed, packedGradient, flipped, bias, zeros, spread },
    };
    this.#forth = walk(geometry.padded, geometry.output, geometry.kernel, geometry.stride);
    this.#back = walk(geometry.spread, geometry.input, geometry.kernel, 1);
  }

  forward(rows: number): void {
    const { input, output, kernel, padding, padded } = this.#geometry;
    const [inputs, outputs, places] = [input.channels, output.channels, kernel * kernel];
    const { weight, packed } = this.#at;
    this.#run.packWeights(outputs, inputs, places, inputs * places, places, 0, weight, packed);
    this.#room.scratch[BIAS].set(this.#room.parameters[1]);
    const pitch = padded.width * inputs;
    const inner = BYTES * padding * (pitch + inputs);
    for (let i = 0; i < rows; i++) {
      const to = this.#at.padded + i * bytesOf(padded) + inner;
      this.#run.place(input.height, input.width, inputs, inputs, pitch, this.#at.x + i * bytesOf(input), to);
      this.#convolve(i);
    }
  }

  #convolve(example: number): void {
    const { output, padded } = this.#geometry;
    const [from, to] = [this.#at.padded + example * bytesOf(padded), this.#at.y + example * bytesOf(output)];
    this.#run.convolve(...this.#forth, from, this.#at.packed, this.#at.bias, to);
  }

  backward(rows: number, wantsInput: boolean): void {
    const { input, output, kernel } = this.#geometry;
    const [inputs, outputs, places] = [input.channels, output.channels, kernel * kernel];
    const { weight, packedGradient, flipped } = this.#at;
    const { workspace, gradients, scratch } = this.#room;
    const [weightGradient, biasGradient] = gradients.map((array) => workspace.reach(array, array.length));
    scratch[PACKED_GRADIENT].fill(0);
    for (let i = 0; i < rows; i++) this.#correlate(i);
    this.#run.addPacked(outputs, inputs, places, packedGradient, weightGradient);
    this.#run.addRows(rows * output.height * output.width, outputs, this.#at.dy, biasGradient);
    if (!wantsInput) return;
    this.#run.packWeights(inputs, outputs, places, places, inputs * places, 1, weight, flipped);
    for (let i = 0; i < rows; i++) this.#convolveBack(i);
  }

  /** Adds the example's share of the gradient of the weights. */
  #correlate(example: number): void {
    const { output, padded } = this.#geometry;
    const [x, dy] = [this.#at.padded + example * bytesOf(padded), this.#at.dy + example * bytesOf(output)];
    this.#run.convolveWeights(...this.#forth, x, dy, this.#at.packedGradient);
  }

  /** The gradient of the input is the spread gradient of the output under the flipped kernel. */
  #convolveBack(example: number): void {
    const { input, output, kernel, stride, padding, spread } = this.#geometry;
    const { channels } = output;
    const pitch = spread.width * channels;
    const inner = BYTES * (kernel - 1 - padding) * (pitch + channels);
    const [from, to] = [this.#at.dy + example * bytesOf(output), this.#at.spread + inner];
    this.#run.place(output.height, output.width, channels, stride * channels, stride * pitch, from, to);
    const dx = this.#at.dx + example * bytesOf(input);
    this.#run.convolve(...this.#back, this.#at.spread, this.#at.flipped, this.#at.zeros, dx);
  }
}

/** Over a padded input of these positions and channels. */
function walk(from: Size, to: Size, kernel: number, stride: number): ConvolutionWalk {
  const pitch = from.width * from.channels;
  const step = stride * from.channels;
  return [to.height, to.width, to.channels, kernel, kernel * from.channels, pitch, step, stride * pitch];
}

function bytesOf(size: Size): number {
  return BYTES * lengthOf(size);
}

// What a layer is. Activations are channels last: an example is height x width x channels, examples stand one behind
// the other. Parameters have the names, shapes and order that torch gives them.

import type { PseudoRandom } from "../../math/random.ts";
import type { Workspace } from "../../math/workspace.ts";

/** Of one example's activations. A flat one has height and width 1. */
export interface Size {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface ParameterPlan {
  readonly name: "weight" | "bias";
  readonly shape: readonly number[];
  /** Random, for so many inputs of each output; or the same value everywhere. */
  readonly initial: { readonly fanIn: number } | { readonly value: number };
}

/** A layer before it has memory. */
export interface LayerPlan {
  readonly output: Size;
  readonly parameters: readonly ParameterPlan[];
  /** The output takes the place of the input, of which the backward pass has no need. */
  readonly isInPlace: boolean;
  /** Arrays that it keeps, in floats. */
  scratch(rowsMax: number): readonly number[];
  start(room: LayerRoom): Layer;
}

/** Memory of one layer. x, y and their gradients hold the examples of one pass. */
export interface LayerRoom {
  readonly workspace: Workspace;
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly dx: Float32Array;
  readonly dy: Float32Array;
  readonly parameters: readonly Float32Array[];
  readonly gradients: readonly Float32Array[];
  readonly scratch: readonly Float32Array[];
}

export interface Layer {
  /** y from x, for so many examples. random: drops out, where the layer does; without it nothing is dropped. */
  forward(rows: number, random?: PseudoRandom): void;
  /** Adds to the gradients of the parameters, given dy of the last forward pass; dx only where it is wanted. */
  backward(rows: number, wantsInput: boolean): void;
}

/** Floats of an example. */
export function lengthOf({ channels, height, width }: Size): number {
  return channels * height * width;
}

export function isFlat({ height, width }: Size): boolean {
  return height === 1 && width === 1;
}

export function flat(channels: number): Size {
  return { channels, height: 1, width: 1 };
}

/** Of a layer without parameters or memory of its own, whose output is as large as its input. */
export const PLAIN = { parameters: [], isInPlace: false, scratch: (): number[] => [] };

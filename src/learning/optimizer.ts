// Optimizers, each with a proximal term that holds local parameters near the global ones (FedProx: Li et al., MLSys
// 2020): minimises loss + mu / 2 * |w - w_global|^2.
//
//   sgd    gradient descent with momentum (Polyak, 1964); decay adds decay * w to the gradient
//   adam   Kingma and Ba, ICLR 2015; decay adds decay * w to the gradient
//   adamw  the same with decoupled decay: w -= rate * decay * w beside the step (Loshchilov and Hutter, ICLR 2019)

import { type Of, oneOf } from "../core/shape.ts";
import type { Workspace } from "../math/workspace.ts";

export const OPTIMIZERS = ["sgd", "adam", "adamw"] as const;

export const optimizerShape = oneOf(...OPTIMIZERS);

export interface OptimizerOptions {
  readonly kind: Of<typeof optimizerShape>;
  readonly learningRate: number;
  /** Of sgd. */
  readonly momentum: number;
  readonly proximalMu: number;
  readonly weightDecay: number;
}

// Kingma and Ba, Algorithm 1: "good default settings".
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

type Vectors = Workspace<"parameters" | "gradient" | "velocity" | "second" | "anchor">;

/** Steps from rest; the proximal term pulls towards the parameters as they are when it starts. */
export class Optimizer {
  readonly #workspace: Vectors;
  readonly #options: OptimizerOptions;
  readonly #count: number;
  readonly #isPlain: boolean;
  #steps = 0;

  constructor(workspace: Vectors, options: OptimizerOptions) {
    const { kind, momentum, proximalMu, weightDecay } = options;
    const { parameters, gradient, velocity, second, anchor } = workspace.regions;
    this.#workspace = workspace;
    this.#options = options;
    this.#count = parameters.length;
    this.#isPlain = kind === "sgd" && momentum === 0 && proximalMu === 0 && weightDecay === 0;
    gradient.fill(0);
    if (this.#isPlain) return;
    velocity.fill(0);
    anchor.set(parameters);
    if (kind !== "sgd") second.fill(0);
  }

  /** One step along the gradient, which is zero afterwards. */
  step(): void {
    this.#steps += 1;
    if (this.#options.kind === "sgd") this.#stepSgd();
    else this.#stepAdam();
  }

  #at(name: keyof Vectors["regions"]): number {
    return this.#workspace.reach(this.#workspace.regions[name], this.#count);
  }

  #stepSgd(): void {
    const { learningRate, momentum, proximalMu, weightDecay } = this.#options;
    const { run } = this.#workspace;
    const [gradient, w] = [this.#at("gradient"), this.#at("parameters")];
    if (this.#isPlain) run.descend(this.#count, learningRate, gradient, w);
    else {
      const [anchor, velocity] = [this.#at("anchor"), this.#at("velocity")];
      run.sgdStep(this.#count, learningRate, momentum, proximalMu, weightDecay, gradient, anchor, velocity, w);
    }
  }

  #stepAdam(): void {
    const { kind, learningRate, proximalMu, weightDecay } = this.#options;
    const isDecoupled = kind === "adamw";
    this.#workspace.run.adamStep(
      this.#count,
      learningRate / (1 - BETA1 ** this.#steps),
      BETA1,
      BETA2,
      EPSILON,
      1 - BETA2 ** this.#steps,
      proximalMu,
      isDecoupled ? 0 : weightDecay,
      isDecoupled ? 1 - learningRate * weightDecay : 1,
      this.#at("gradient"),
      this.#at("anchor"),
      this.#at("velocity"),
      this.#at("second"),
      this.#at("parameters"),
    );
  }
}

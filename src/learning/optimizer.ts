// Stochastic gradient descent with momentum (Polyak, 1964) and a proximal term that holds local parameters near the
// global ones (FedProx: Li et al., MLSys 2020): minimises loss + mu / 2 * |w - w_global|^2.

import type { Gemm } from "../math/gemm.ts";

export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum: number;
  readonly proximalMu: number;
}

type Vectors = Gemm<"parameters" | "gradient" | "velocity" | "anchor">;

/** Momentum starts from rest and the proximal term pulls towards the parameters as they are now. */
export function startSgd(gemm: Vectors): void {
  gemm.regions.velocity.fill(0);
  gemm.regions.anchor.set(gemm.regions.parameters);
}

/** One step along the gradient, which is zero afterwards. */
export function stepSgd(gemm: Vectors, options: SgdOptions): void {
  const { parameters, gradient, velocity, anchor } = gemm.regions;
  const { learningRate: rate, momentum, proximalMu: mu } = options;
  if (momentum === 0 && mu === 0) gemm.axpy(-rate, gradient, parameters);
  else gemm.sgdStep(parameters, gradient, velocity, anchor, { rate, momentum, mu });
  gradient.fill(0);
}

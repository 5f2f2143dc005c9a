// The training plan: what every device is asked to do in a round. It travels in the work message.

import { LIMITS } from "../core/limits.ts";
import { float, type Of, object, uint } from "../core/shape.ts";
import { optimizerShape } from "./optimizer.ts";

export const trainingPlanShape = object({
  /** Passes over the device's own examples. */
  epochs: uint(1, LIMITS.epochsMax),
  batch_size: uint(1, LIMITS.batchSizeMax),
  optimizer: optimizerShape,
  learning_rate: float(0, 100),
  /** Of sgd; adam and adamw have their own. */
  momentum: float(0, 0.999),
  /** FedProx; 0 is FedAvg. */
  proximal_mu: float(0, 100),
  /** L2 for sgd and adam, decoupled for adamw. */
  weight_decay: float(0, 1),
});

export type TrainingPlan = Of<typeof trainingPlanShape>;

// The training plan: what every device is asked to do in a round. It travels in the work message.

import { LIMITS } from "../core/limits.ts";
import { float, type Of, object, uint } from "../core/shape.ts";

export const trainingPlanShape = object({
  /** Passes over the device's own examples. */
  epochs: uint(1, LIMITS.epochsMax),
  batch_size: uint(1, LIMITS.batchSizeMax),
  learning_rate: float(0, 100),
  momentum: float(0, 0.999),
  /** FedProx; 0 is FedAvg. */
  proximal_mu: float(0, 100),
});

export type TrainingPlan = Of<typeof trainingPlanShape>;

// The defaults of the demonstration, found on 10 devices x 600 Fashion-MNIST images (bench/rounds.ts).

import type { ModelDescription } from "./model.ts";
import type { TrainingPlan } from "./plan.ts";

export const DEFAULT_MODEL: ModelDescription = { kind: "mlp", inputs: 784, hidden: [64], classes: 10 };

export const DEFAULT_PLAN: TrainingPlan = {
  epochs: 1,
  batch_size: 10,
  learning_rate: 0.05,
  momentum: 0,
  proximal_mu: 0,
};

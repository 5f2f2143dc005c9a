// The defaults of the demonstration. After ten rounds over ten devices of 600 Fashion-MNIST images, one of them
// flipping signs, accuracy on 1,000 other images was 0.816 to 0.831 where the devices' data are alike (node
// bench/rounds.ts --malicious 1, seeds 1 to 5).

import type { ModelDescription } from "./model.ts";
import type { TrainingPlan } from "./plan.ts";

/** Widths of the hidden layers. */
export const DEFAULT_HIDDEN: readonly number[] = [64];

/** Its name on the command line. */
export const DEFAULT_NAME = `mlp:${DEFAULT_HIDDEN.join()}`;

export const DEFAULT_MODEL: ModelDescription = { kind: "mlp", inputs: 784, hidden: DEFAULT_HIDDEN, classes: 10 };

export const DEFAULT_PLAN: TrainingPlan = {
  epochs: 2,
  batch_size: 20,
  optimizer: "sgd",
  learning_rate: 0.05,
  momentum: 0,
  proximal_mu: 0,
  weight_decay: 0,
};

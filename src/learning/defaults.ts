// The defaults of the demonstration, found by bench/rounds.ts on 10 devices x 600 images of Fashion-MNIST. After ten
// rounds and over seeds 1 to 5, accuracy on 1,000 test images was 0.823 to 0.835 where devices are alike (iid) and
// 0.808 to 0.821 where they are not (dirichlet:0.5). Three times the step (iid) loses two points, four times it ten.

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

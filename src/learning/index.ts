// qflare/learning: models, data sets and local training.

export { ATTACK_KINDS, type Attack, type AttackKind, parseAttack, poisonDataset, poisonDelta } from "./attacks.ts";
export { type CsvDataset, type CsvOptions, datasetFromCsv, type Standardisation } from "./csv.ts";
export { classCounts, createDataset, type Dataset, selectRows } from "./dataset.ts";
export { DEFAULT_MODEL, DEFAULT_PLAN } from "./defaults.ts";
export { type Evaluation, evaluate } from "./evaluate.ts";
export { datasetFromIdx, type Idx, parseIdx } from "./idx.ts";
export { LAYER_KINDS, type LayerDescription, type LayerKind } from "./layers/table.ts";
export {
  initialParameters,
  type MlpDescription,
  type ModelDescription,
  modelShape,
  parameterCount,
  parameterLayout,
  type SequentialDescription,
  type SoftmaxDescription,
  type TensorPlace,
} from "./model.ts";
export { decodeModel, decodeParameters, encodeModel, type Model, parseDescription } from "./model-file.ts";
export { namedModel } from "./named-model.ts";
export { Network } from "./network.ts";
export { type Partition, parsePartition, partition } from "./partition.ts";
export { type TrainingPlan, trainingPlanShape } from "./plan.ts";
export { decodeTensors, encodeTensors, type Tensor, type TensorFile } from "./safetensors.ts";
export { createTrainer, keepTrainer, type Trainer, type TrainingJob, type TrainingResult } from "./trainer.ts";

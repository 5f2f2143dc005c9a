// The one table of layers: what a description may say and what becomes of it.

import { type Of, type Shape, tagged } from "../../core/shape.ts";
import { geluShape, planGelu, planRelu, reluShape } from "./activation.ts";
import { convolutionShape, planConvolution } from "./convolution.ts";
import { denseShape, planDense } from "./dense.ts";
import { dropoutShape, planDropout } from "./dropout.ts";
import { flattenShape, planFlatten } from "./flatten.ts";
import type { LayerPlan, Size } from "./layer.ts";
import { groupNormShape, layerNormShape, planGroupNorm, planLayerNorm } from "./normalisation.ts";
import { averagePoolShape, maxPoolShape, planPooling } from "./pooling.ts";

const SHAPES = {
  dense: denseShape,
  conv2d: convolutionShape,
  "max-pool": maxPoolShape,
  "avg-pool": averagePoolShape,
  "layer-norm": layerNormShape,
  "group-norm": groupNormShape,
  relu: reluShape,
  gelu: geluShape,
  dropout: dropoutShape,
  flatten: flattenShape,
};

export type LayerKind = keyof typeof SHAPES;
export type LayerDescription = { [K in LayerKind]: Of<(typeof SHAPES)[K]> }[LayerKind];

type Plans = { [K in LayerKind]: (description: Of<(typeof SHAPES)[K]>, input: Size, path: string) => LayerPlan };

const PLANS: Plans = {
  dense: planDense,
  conv2d: planConvolution,
  "max-pool": planPooling,
  "avg-pool": planPooling,
  "layer-norm": planLayerNorm,
  "group-norm": planGroupNorm,
  relu: planRelu,
  gelu: planGelu,
  dropout: planDropout,
  flatten: planFlatten,
};

export const LAYER_KINDS = Object.keys(SHAPES) as readonly LayerKind[];

export const layerShape: Shape<LayerDescription> = tagged<LayerDescription>(SHAPES);

/** path: of the description, for messages. Throws message.malformed where the layer cannot take such an input. */
export function planLayer(description: LayerDescription, input: Size, path: string): LayerPlan {
  const plan = PLANS[description.kind] as (description: LayerDescription, input: Size, path: string) => LayerPlan;
  return plan(description, input, path);
}

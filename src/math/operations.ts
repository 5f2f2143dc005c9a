// What can be done to rows a stretch of columns at a time: the one table that a single thread and a pool of them share.

import { otherProducts } from "./others.ts";
import { differences, products } from "./products.ts";
import { coordinateMedian, meanAroundMedian, trimmedMean } from "./select.ts";
import { signCounts, signSums } from "./signs.ts";
import { dots, rowsSum, squaredNorms } from "./sums.ts";

/** One value for each coordinate. */
export const MAPS = { rowsSum, coordinateMedian, trimmedMean, meanAroundMedian, signSums } as const;

/** Sums over the coordinates. */
export const SUMS = { squaredNorms, dots, products, differences, otherProducts, signCounts } as const;

export type MapName = keyof typeof MAPS;
export type SumName = keyof typeof SUMS;

type ParametersOf<Run> = Run extends (reducer: never, rows: never, parameters: infer P) => unknown ? P : never;
export type MapParameters<N extends MapName> = ParametersOf<(typeof MAPS)[N]>;
export type SumParameters<N extends SumName> = ParametersOf<(typeof SUMS)[N]>;

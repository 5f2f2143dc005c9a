// What can be done to rows a stretch of columns at a time: the one table that a single thread and a pool of them share.

import { otherProducts } from "./others.ts";
import { differences, products } from "./products.ts";
import { type Rows, rowCount } from "./rows.ts";
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

/** How many sums an operation gives. */
const SUM_LENGTHS: { readonly [N in SumName]: (count: number, parameters: SumParameters<N>) => number } = {
  squaredNorms: (count) => count,
  dots: (count) => count,
  products: (count) => count * count,
  differences: (_count, { pairs }) => pairs.length / 2,
  otherProducts: (count) => 2 * count,
  signCounts: (count) => 2 * count,
};

export function sumLength<N extends SumName>(name: N, rows: Rows, parameters: SumParameters<N>): number {
  return SUM_LENGTHS[name](rowCount(rows), parameters);
}

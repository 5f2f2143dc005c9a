// Nearness of updates to one another, from their squared distances.

import type { Distances } from "../math/pairs.ts";
import { ascending } from "./batch.ts";

/**
 * Krum's score of each of the rows: the sum of its squared distances to the given number of nearest others among them
 * (Blanchard et al., NeurIPS 2017).
 */
export function krumScores({ count, squared }: Distances, rows: readonly number[], neighbours: number): number[] {
  return rows.map((row) => {
    const others = rows.filter((other) => other !== row).map((other) => squared[row * count + other]);
    return sum(others.sort((a, b) => a - b).slice(0, neighbours));
  });
}

/** What so many declared neighbours need, as the end of a rule's own needs; 0: none are declared. */
export function beyond(neighbours: number): string {
  return neighbours === 0 ? "" : `, n > neighbours = ${neighbours}`;
}

/** The rows nearest to a row, itself first. */
export function nearest({ count, squared }: Distances, row: number, size: number): number[] {
  const distances = squared.slice(row * count, (row + 1) * count);
  distances[row] = -1;
  return ascending(distances).slice(0, size);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

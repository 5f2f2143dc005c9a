// Splits one data set over devices, evenly mixed or skewed as between real owners. Seeded: the same arguments give the
// same split. Every example goes to exactly one device, and every device gets at least one.

import { QflareError } from "../core/error.ts";
import { PseudoRandom } from "../math/random.ts";
import type { Dataset } from "./dataset.ts";

export type Partition =
  | { readonly kind: "iid" }
  /** Each class is shared out by Dirichlet(alpha) proportions (Hsu, Qi, Brown, arXiv:1909.06335): small is skewed. */
  | { readonly kind: "dirichlet"; readonly alpha: number }
  /** Sorted by label, cut, shardsPerDevice pieces to each device (McMahan et al., AISTATS 2017). */
  | { readonly kind: "shards"; readonly shardsPerDevice: number };

const ALPHA_MIN = 0.001;
const ALPHA_MAX = 1e6;
const SHARDS_MAX = 1000;

/** Reads "iid", "dirichlet:0.3" or "shards:2". */
export function parsePartition(text: string): Partition {
  const [, argument] = text.split(":", 2);
  const value = argument === undefined || !/^\d+(\.\d+)?$/.test(argument) ? Number.NaN : Number(argument);
  if (text === "iid") return { kind: "iid" };
  if (text === `dirichlet:${argument}` && value >= ALPHA_MIN && value <= ALPHA_MAX) {
    return { kind: "dirichlet", alpha: value };
  }
  if (text === `shards:${argument}` && Number.isInteger(value) && value >= 1 && value <= SHARDS_MAX) {
    return { kind: "shards", shardsPerDevice: value };
  }
  throw new QflareError(
    "config.invalid",
    `expected partition "iid", "dirichlet:<alpha from ${ALPHA_MIN}>" or "shards:<1 to ${SHARDS_MAX}>", ` +
      `got ${JSON.stringify(text)}`,
  );
}

/** The rows of the data set that each device owns, in random order. */
export function partition(dataset: Dataset, devices: number, how: Partition, seed: number): Int32Array<ArrayBuffer>[] {
  if (!Number.isInteger(devices) || devices < 1 || devices > dataset.count) {
    throw new RangeError(`Cannot partition: expected 1 to ${dataset.count} devices, got ${devices}`);
  }
  const random = new PseudoRandom(seed, "partition");
  const owned = splitBy(dataset, devices, how, random);
  feedEmpty(owned);
  return owned.map((rows) => random.shuffle(Int32Array.from(rows)));
}

function splitBy(dataset: Dataset, devices: number, how: Partition, random: PseudoRandom): number[][] {
  if (how.kind === "iid") return cut([...random.permutation(dataset.count)], devices);
  const byClass = rowsByClass(dataset, random);
  if (how.kind === "dirichlet") return splitByDirichlet(byClass, devices, how.alpha, random);
  return splitByShards(byClass.flat(), devices, how.shardsPerDevice, random);
}

function rowsByClass(dataset: Dataset, random: PseudoRandom): number[][] {
  const byClass: number[][] = Array.from({ length: dataset.classes }, () => []);
  for (const row of random.permutation(dataset.count)) byClass[dataset.labels[row]].push(row);
  return byClass;
}

/** Pieces in order whose sizes differ by at most one. */
function cut(rows: readonly number[], pieces: number): number[][] {
  const edge = (i: number): number => Math.floor((i * rows.length) / pieces);
  return Array.from({ length: pieces }, (_, i) => rows.slice(edge(i), edge(i + 1)));
}

function splitByDirichlet(
  byClass: readonly (readonly number[])[],
  devices: number,
  alpha: number,
  random: PseudoRandom,
): number[][] {
  const owned: number[][] = Array.from({ length: devices }, () => []);
  for (const rows of byClass) {
    const shares = random.dirichlet(alpha, devices);
    let sum = 0;
    let start = 0;
    for (let d = 0; d < devices; d++) {
      sum += shares[d];
      const end = d === devices - 1 ? rows.length : Math.round(Math.min(sum, 1) * rows.length);
      owned[d].push(...rows.slice(start, end));
      start = end;
    }
  }
  return owned;
}

function splitByShards(sorted: readonly number[], devices: number, each: number, random: PseudoRandom): number[][] {
  const shards = cut(sorted, devices * each);
  const order = random.permutation(shards.length);
  return Array.from({ length: devices }, (_, d) => {
    const mine = order.subarray(d * each, (d + 1) * each);
    return [...mine].flatMap((shard) => shards[shard]);
  });
}

/** A device without examples takes one from the largest: it could not train, and its weight would be zero. */
function feedEmpty(owned: number[][]): void {
  for (const rows of owned) {
    if (rows.length > 0) continue;
    const largest = owned.reduce((a, b) => (b.length > a.length ? b : a));
    rows.push(largest.pop()!);
  }
}

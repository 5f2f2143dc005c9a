// Data sets from files: a folder of IDX files (plain or .gz), a CSV file, or the set that comes with the program.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { datasetFromCsv } from "../learning/csv.ts";
import { type Dataset, selectRows } from "../learning/dataset.ts";
import { datasetFromIdx } from "../learning/idx.ts";
import { parsePartition, partition } from "../learning/partition.ts";
import { readBytes } from "./files.ts";
import { UsageError } from "./output.ts";

const BYTES_MAX = 2 ** 30;
const CLASSES = 10;

export interface DataOptions {
  readonly data?: string;
  readonly csv?: string;
  readonly label?: string;
  /** Class names of the table in order, with commas; by default those in the file, sorted. */
  readonly classNames?: string;
}

const BUNDLED_DATA = "fashion-mnist";

function bundledFolder(): string {
  return join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "data", BUNDLED_DATA);
}

export function loadTraining(options: DataOptions): Dataset {
  if (options.csv !== undefined) return loadCsv(options.csv, options);
  return loadIdx(options.data ?? bundledFolder(), "train");
}

/** The held-out examples; undefined for a CSV file, which has none. */
export function loadTest(options: DataOptions): Dataset | undefined {
  return options.csv === undefined ? loadIdx(options.data ?? bundledFolder(), "t10k") : undefined;
}

function loadCsv(path: string, { label, classNames }: DataOptions): Dataset {
  if (label === undefined) throw new UsageError("--csv: expected --label with the name of its label column");
  const named = classNames === undefined ? {} : { classNames: classNames.split(",") };
  return datasetFromCsv(readInput(path, "--csv"), { labelColumn: label, ...named }).dataset;
}

function loadIdx(folder: string, part: "train" | "t10k"): Dataset {
  const images = readInput(join(folder, `${part}-images-idx3-ubyte`), "--data");
  const labels = readInput(join(folder, `${part}-labels-idx1-ubyte`), "--data");
  return datasetFromIdx(images, labels, CLASSES);
}

/** The file, or the same name with .gz behind it. */
function readInput(path: string, flag: string): Uint8Array {
  const packed = `${path}.gz`;
  const found = [path, packed].find((candidate) => existsSync(candidate));
  if (found === undefined) throw new UsageError(`${path}: there is no such file, nor with .gz`);
  const bytes = readBytes(found, flag, BYTES_MAX);
  try {
    return found.endsWith(".gz") ? gunzipSync(bytes, { maxOutputLength: BYTES_MAX }) : bytes;
  } catch (error) {
    throw new UsageError(`${found}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`);
  }
}

/** part: "3/10" is the third of ten devices' shares. */
export function shareOf(dataset: Dataset, part: string, how: string, seed: number): Dataset {
  const match = /^(\d{1,5})\/(\d{1,5})$/.exec(part);
  const [index, count] = match === null ? [Number.NaN, Number.NaN] : [Number(match[1]), Number(match[2])];
  if (!(index >= 1 && index <= count && count <= dataset.count)) {
    throw new UsageError(`--part: expected such as 3/10, at most ${dataset.count} parts, got ${JSON.stringify(part)}`);
  }
  return selectRows(dataset, partition(dataset, count, parsePartition(how), seed)[index - 1]!);
}

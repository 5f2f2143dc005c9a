// The part of Fashion-MNIST that ships with the package.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Dataset } from "../../../src/learning/dataset.ts";
import { datasetFromIdx } from "../../../src/learning/idx.ts";

export function loadFashion(part: "train" | "t10k"): Dataset {
  const read = (kind: string): Uint8Array =>
    gunzipSync(readFileSync(new URL(`../../../data/fashion-mnist/${part}-${kind}-ubyte.gz`, import.meta.url)));
  return datasetFromIdx(read("images-idx3"), read("labels-idx1"), 10);
}

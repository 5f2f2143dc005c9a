// Peak memory of aggregation above what the updates take, each case in a process of its own.
//
//   node bench/aggregate-memory.ts

import { spawnSync } from "node:child_process";
import { aggregate } from "../src/aggregation/aggregate.ts";
import { parseChain } from "../src/aggregation/chain.ts";
import { readChoice } from "../src/aggregation/specification.ts";
import { StreamingMean } from "../src/aggregation/streaming.ts";
import { bytesFromFloats } from "../src/core/floats.ts";

const PIECE_VALUES = 2 ** 16;
const MB = 1e6;
const CASES: [name: string, n: number, length: number][] = [
  ["streaming", 40, 1e7],
  ["streaming", 400, 1e7],
  ["mean", 50, 4e6],
  ["median", 50, 4e6],
  ["krum:f=10", 50, 4e6],
  ["nnm:f=10/trimmed-mean:f=10", 50, 4e6],
  ["default", 50, 4e6],
];

/** Bytes of the process now, and its peak. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

function measure(name: string, n: number, length: number): number {
  const pattern = Float32Array.from({ length: PIECE_VALUES }, (_, i) => Math.sin(i));
  const rows = name === "streaming" ? [] : Array.from({ length: n }, (_, row) => filled(pattern, length, row));
  const start = process.memoryUsage.rss();
  if (name === "streaming") stream(pattern, n, length);
  else aggregate(readChoice(parseChain(name)), rows);
  return peakBytes() - start;
}

function filled(pattern: Float32Array, length: number, row: number): Float32Array {
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] = pattern[(i + 97 * row) % pattern.length]!;
  return out;
}

function stream(pattern: Float32Array, n: number, length: number): void {
  const mean = new StreamingMean(length);
  const pieces = function* (): Generator<Uint8Array> {
    for (let at = 0; at < length; at += PIECE_VALUES) {
      yield bytesFromFloats(pattern.subarray(0, Math.min(PIECE_VALUES, length - at)));
    }
  };
  for (let i = 0; i < n; i++) mean.add(pieces);
  mean.finish();
}

const [name, n, length] = process.argv.slice(2);
if (name !== undefined) {
  console.log(measure(name, Number(n), Number(length)));
} else {
  for (const entry of CASES) {
    const child = spawnSync(process.execPath, [import.meta.filename, ...entry.map(String)], { encoding: "utf8" });
    const model = (4 * entry[2]) / MB;
    const above = Number(child.stdout) / MB;
    console.log(
      `${entry[0]}, ${entry[1]} x ${entry[2]}: ${above.toFixed(0)} MB above the updates, a model takes ${model} MB`,
    );
  }
}

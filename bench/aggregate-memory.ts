// Peak memory of aggregation above what the updates take, each case in a process of its own: of updates in arrays of
// their own, and of updates in the memory of the kernel.
//
//   node bench/aggregate-memory.ts

import { spawnSync } from "node:child_process";
import { aggregate } from "../src/aggregation/aggregate.ts";
import { parseChain } from "../src/aggregation/chain.ts";
import { RowArena } from "../src/aggregation/row-arena.ts";
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

function measure(name: string, n: number, length: number, isInPlace: boolean): number {
  const pattern = Float32Array.from({ length: PIECE_VALUES }, (_, i) => Math.sin(i));
  if (name === "streaming") {
    const start = process.memoryUsage.rss();
    stream(pattern, n, length);
    return peakBytes() - start;
  }
  const arena = new RowArena();
  if (isInPlace) arena.open(n, length);
  const empty = () => (isInPlace ? arena.take() : new Float32Array(length));
  const rows = Array.from({ length: n }, (_, row) => filled(empty(), pattern, row));
  const start = process.memoryUsage.rss();
  aggregate(readChoice(parseChain(name)), rows, { reducer: arena.reducer });
  return peakBytes() - start;
}

/** All point the same way: no filter leaves one out. */
function filled(out: Float32Array, pattern: Float32Array, row: number): Float32Array {
  for (let i = 0; i < out.length; i++) out[i] = 1 + pattern[(i + 97 * row) % pattern.length]!;
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

/** Megabytes. */
function measuredApart(entry: (typeof CASES)[number], isInPlace: boolean): string {
  const values = [...entry, ...(isInPlace ? ["in-place"] : [])].map(String);
  const child = spawnSync(process.execPath, [import.meta.filename, ...values], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(child.stderr);
  return (Number(child.stdout) / MB).toFixed(0);
}

const [name, n, length, place] = process.argv.slice(2);
if (name !== undefined) {
  console.log(measure(name, Number(n), Number(length), place === "in-place"));
} else {
  for (const entry of CASES) {
    const model = (4 * entry[2]) / MB;
    const inPlace = entry[0] === "streaming" ? "" : `, in the kernel's memory ${measuredApart(entry, true)} MB`;
    console.log(
      `${entry[0]}, ${entry[1]} x ${entry[2]}: ${measuredApart(entry, false)} MB above the updates${inPlace}, ` +
        `a model takes ${model} MB`,
    );
  }
}

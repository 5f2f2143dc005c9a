// Aggregation: figure, plain loop and numpy in one run. Usage: node bench/aggregate.ts [share of the full size, 0 to 1]

import { spawnSync } from "node:child_process";
import { squaredDistances } from "../src/math/pairs.ts";
import { Reducer } from "../src/math/reducer.ts";
import { coordinateMedian, trimmedMean } from "../src/math/select.ts";
import { norm, weightedSum } from "../src/math/vector.ts";

const RUNS = 5;
const share = Number(process.argv[2] ?? 1);
const reducer = new Reducer();

interface Case {
  readonly name: string;
  readonly n: number;
  readonly length: number;
  readonly kernel: (rows: Float32Array[], length: number) => unknown;
  readonly plain?: (rows: Float32Array[], length: number) => unknown;
  /** Of x, n rows of float32. */
  readonly numpy: string;
}

const CASES: Case[] = [
  { name: "mean", n: 48, length: 1e6, kernel: mean, plain: plainMean, numpy: "w @ x" },
  { name: "mean", n: 1000, length: 1e5, kernel: mean, plain: plainMean, numpy: "w @ x" },
  { name: "median", n: 100, length: 1e6, kernel: median, plain: plainMedian, numpy: "np.median(x, axis=0)" },
  {
    name: "trimmed mean f=20",
    n: 100,
    length: 1e6,
    kernel: (rows, length) => trimmedMean(reducer, rows, length, 20),
    plain: (rows, length) => plainTrimmed(rows, length, 20),
    numpy: "np.sort(x, axis=0)[20:80].mean(axis=0)",
  },
  { name: "norms", n: 48, length: 1e6, kernel: norms, plain: plainNorms, numpy: "np.linalg.norm(x, axis=1)" },
  {
    name: "squared distances",
    n: 100,
    length: 1e5,
    kernel: (rows, length) => squaredDistances(reducer, rows, length),
    numpy: "x.astype(np.float64) @ x.T.astype(np.float64)",
  },
];

function mean(rows: Float32Array[], length: number): Float32Array {
  return weightedSum(reducer, rows, new Float32Array(rows.length).fill(1 / rows.length), length);
}

function median(rows: Float32Array[], length: number): Float32Array {
  return coordinateMedian(reducer, rows, length);
}

function norms(rows: Float32Array[]): number[] {
  return rows.map((row) => norm(reducer, row));
}

function plainMean(rows: Float32Array[], length: number): Float32Array {
  const out = new Float32Array(length);
  const weight = 1 / rows.length;
  for (const row of rows) for (let i = 0; i < length; i++) out[i] += weight * row[i];
  return out;
}

function plainNorms(rows: Float32Array[]): number[] {
  return rows.map((row) => {
    let sum = 0;
    for (let i = 0; i < row.length; i++) sum += row[i] * row[i];
    return Math.sqrt(sum);
  });
}

function plainMedian(rows: Float32Array[], length: number): Float32Array {
  return plainTrimmed(rows, length, Math.floor((rows.length - 1) / 2));
}

function plainTrimmed(rows: Float32Array[], length: number, f: number): Float32Array {
  const out = new Float32Array(length);
  const column = new Float32Array(rows.length);
  for (let i = 0; i < length; i++) {
    for (let r = 0; r < rows.length; r++) column[r] = rows[r][i];
    column.sort();
    let sum = 0;
    for (let r = f; r < rows.length - f; r++) sum += column[r];
    out[i] = sum / (rows.length - 2 * f);
  }
  return out;
}

/** Least and middle time in milliseconds. A slow reference runs on a tenth of the columns and is scaled. */
function time(run: () => unknown, runs: number): { least: number; middle: number } {
  run();
  const times = Array.from({ length: runs }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  return { least: times[0], middle: times[times.length >> 1] };
}

function numpyMs(expression: string, n: number, length: number): number | undefined {
  const code = `
import numpy as np, time
x = np.random.default_rng(1).random((${n}, ${length}), dtype=np.float32)
w = np.full(${n}, 1 / ${n}, dtype=np.float32)
def run():
    start = time.perf_counter()
    ${expression}
    return time.perf_counter() - start
print(min(run() for _ in range(2)) * 1000)`;
  const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
  const result = spawnSync("python3", ["-c", code], { encoding: "utf8", env });
  return result.status === 0 ? Number(result.stdout) : undefined;
}

function randomRows(n: number, length: number): Float32Array[] {
  return Array.from({ length: n }, () => Float32Array.from({ length }, () => Math.random() - 0.5));
}

function report({ name, n, length, kernel, plain, numpy }: Case): void {
  const rows = randomRows(n, length);
  const { least, middle } = time(() => kernel(rows, length), RUNS);
  const tenth = Math.ceil(length / 10);
  const few = rows.map((row) => row.subarray(0, tenth));
  const plainMs = plain === undefined ? undefined : (time(() => plain(few, tenth), 2).least * length) / tenth;
  const numpyTime = numpyMs(numpy, n, length);
  const ratio = (other: number | undefined) => (other === undefined ? "-" : `${(other / least).toFixed(1)}x`);
  console.log(
    `${name} ${n} x ${length}: least ${least.toFixed(1)} ms, middle ${middle.toFixed(1)} ms, ` +
      `${((n * length * 4) / least / 1e6).toFixed(1)} GB/s; ` +
      `plain loop ${ratio(plainMs)}, numpy ${ratio(numpyTime)} of it`,
  );
}

for (const entry of CASES) report({ ...entry, length: Math.ceil(entry.length * share) });

// Aggregation: rows in the kernel's memory as the enclave has them, the same rows in arrays of their own, which have to
// be copied there, bare copying, plain loop and numpy in one run.
//
//   node bench/aggregate.ts [share of the full size, 0 to 1] [part of a name]

import { spawnSync } from "node:child_process";
import { aggregate } from "../src/aggregation/aggregate.ts";
import { parseChain } from "../src/aggregation/chain.ts";
import { RowArena } from "../src/aggregation/row-arena.ts";
import { readChoice } from "../src/aggregation/specification.ts";
import { bytesFromFloats, floatsFromBytes } from "../src/core/floats.ts";
import { PseudoRandom } from "../src/math/random.ts";
import { weightedSum } from "../src/math/vector.ts";

const RUNS = 5;
const share = Number(process.argv[2] ?? 1);
const only = process.argv[3];
const arena = new RowArena();

interface Case {
  readonly name: string;
  readonly n: number;
  readonly length: number;
  /** Milliseconds on one core that it is meant to stay within. */
  readonly bar: number;
  readonly run: (rows: Float32Array[], length: number) => unknown;
  readonly plain?: (rows: Float32Array[], length: number) => unknown;
  /** Of x, n rows of float32. */
  readonly numpy?: string;
}

const CASES: Case[] = [
  { name: "mean from wire bytes", n: 50, length: 1e7, bar: 160, run: meanOfBytes, plain: plainMean, numpy: "w @ x" },
  { name: "mean", n: 1000, length: 1e5, bar: 40, run: ruleOf("mean"), plain: plainMean, numpy: "w @ x" },
  {
    ...{ name: "median", n: 100, length: 1e6, bar: 300, run: ruleOf("median"), plain: plainMedian },
    numpy: "np.median(x, axis=0)",
  },
  {
    ...{ name: "trimmed mean f=20", n: 100, length: 1e6, bar: 360, run: ruleOf("trimmed-mean:f=20") },
    plain: (rows, length) => plainTrimmed(rows, length, 20),
    numpy: "np.sort(x, axis=0)[20:80].mean(axis=0)",
  },
  { name: "Krum f=20", n: 100, length: 1e6, bar: 400, run: ruleOf("krum:f=20"), numpy: "x @ x.T" },
  { name: "Multi-Krum f=20", n: 100, length: 1e6, bar: 400, run: ruleOf("multi-krum:f=20"), numpy: "x @ x.T" },
  { name: "Bulyan f=24", n: 100, length: 1e6, bar: 1000, run: ruleOf("bulyan:f=24") },
  {
    ...{ name: "NNM + trimmed mean f=5", n: 25, length: 1e6, bar: 300, run: ruleOf("nnm:f=5/trimmed-mean:f=5") },
    numpy: "np.sort((x @ x.T) @ x, axis=0)[5:20].mean(axis=0)",
  },
];

function ruleOf(chain: string): Case["run"] {
  const choice = readChoice(parseChain(chain));
  return (rows) => aggregate(choice, rows, { reducer: arena.reducer });
}

/** As they come off the wire: little-endian bytes, of which the floats are a view. */
function meanOfBytes(rows: Float32Array[], length: number): Float32Array {
  const views = rows.map((row) => floatsFromBytes(bytesFromFloats(row)));
  return weightedSum(arena.reducer, views, new Float32Array(rows.length).fill(1 / rows.length), length);
}

/** What every rule pays at least once: rows into the kernel's memory, block by block over the same 128 KiB. */
function copyAll(rows: Float32Array[], length: number): void {
  const block = 4096;
  const { reducer } = arena;
  const [at] = reducer.reserve(4 * 8 * block) as [number];
  for (let start = 0; start < length; start += block) {
    for (const [r, row] of rows.entries()) {
      reducer.f32.set(row.subarray(start, Math.min(length, start + block)), at / 4 + (r % 8) * block);
    }
  }
}

function plainMean(rows: Float32Array[], length: number): Float32Array {
  const out = new Float32Array(length);
  const weight = 1 / rows.length;
  for (const row of rows) for (let i = 0; i < length; i++) out[i] += weight * row[i];
  return out;
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

interface Times {
  readonly least: number;
  /** Least time that this thread had a processor: what a quiet machine would come near to. */
  readonly busy: number;
}

/** In milliseconds. A slow reference runs on a tenth of the columns and is scaled. */
function time(run: () => unknown, runs: number): Times {
  run();
  const out = { least: Number.POSITIVE_INFINITY, busy: Number.POSITIVE_INFINITY };
  for (let i = 0; i < runs; i++) {
    const [start, busy] = [performance.now(), busyMs()];
    run();
    out.least = Math.min(out.least, performance.now() - start);
    out.busy = Math.min(out.busy, busyMs() - busy);
  }
  return out;
}

function busyMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
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

/** Many rows share a few patterns: filling 2 GB anew would take longer than the work. */
function randomRows(n: number, length: number): Float32Array[] {
  const random = new PseudoRandom(1, "bench");
  const pattern = Float32Array.from({ length: length + n }, () => random.uniform() - 0.5);
  return Array.from({ length: n }, (_, row) => pattern.slice(row, row + length));
}

function report({ name, n, length, bar, run, plain, numpy }: Case): void {
  const rows = randomRows(n, length);
  arena.open(n, length);
  const inPlace = rows.map((row) => {
    const place = arena.take();
    place.set(row);
    return place;
  });
  const own = time(() => run(inPlace, length), RUNS);
  const copied = time(() => run(rows, length), RUNS);
  const copying = time(() => copyAll(rows, length), RUNS);
  const tenth = Math.ceil(length / 10);
  const few = rows.map((row) => row.subarray(0, tenth));
  const plainMs = plain === undefined ? undefined : (time(() => plain(few, tenth), 2).least * length) / tenth;
  const numpyTime = numpy === undefined ? undefined : numpyMs(numpy, n, length);
  const ratio = (other: number | undefined) => (other === undefined ? "-" : `${(other / own.least).toFixed(1)}x`);
  const shown = (of: Times) => `least ${of.least.toFixed(1)} ms, processor ${of.busy.toFixed(1)} ms`;
  console.log(
    `${name}, ${n} x ${length}: ${shown(own)}, aim ${bar * share} ms; rows in arrays of their own: ${shown(copied)}, ` +
      `bare copying of them ${shown(copying)}; plain loop ${ratio(plainMs)}, numpy ${ratio(numpyTime)} of the first`,
  );
}

for (const entry of CASES) {
  if (only === undefined || entry.name.includes(only)) report({ ...entry, length: Math.ceil(entry.length * share) });
}

// Times of operations on this machine. Rounds alternate between the operations, so that load hits all of them alike.

export interface Operation {
  readonly name: string;
  readonly run: () => unknown;
  /** What one run works through, where a rate says more than a time. */
  readonly bytes?: number;
}

/** Microseconds; spread is p95 / p50. */
export interface Figures {
  readonly name: string;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly spread: number;
  /** GB/s at p50. */
  readonly rate?: number;
}

const WARM_UP_ROUNDS = 20;

/** One element for each operation. Runs each twice a round and keeps the second time: its data are then cached. */
export function measure(operations: readonly Operation[], rounds: number): Figures[] {
  const times: number[][] = operations.map(() => []);
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const [i, { run }] of operations.entries()) {
      run();
      const us = timeUs(run);
      if (round >= 0) times[i]!.push(us);
    }
  }
  return operations.map((operation, i) => figures(operation, times[i]!));
}

function timeUs(run: () => unknown): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / 1000;
}

function figures({ name, bytes }: Operation, us: number[]): Figures {
  us.sort((a, b) => a - b);
  const [min, p50, p95] = [quantile(us, 0), quantile(us, 0.5), quantile(us, 0.95)];
  const rate = bytes === undefined ? {} : { rate: bytes / (1000 * p50) };
  return { name, min, p50, p95, spread: p95 / p50, ...rate };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

// The asynchronous twin of aggregate: the same rules, with their loops over coordinates shared out among threads. Bit
// for bit the same result, whatever the number of threads. Not for an enclave that has given up its right to threads.

import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type ErrorCode, QflareError } from "../core/error.ts";
import type { Aggregate } from "./aggregate.ts";
import { type AggregateOptions, checkInput } from "./input.ts";
import { type Choice, readChoice } from "./specification.ts";

const THREADS_MAX = 256;

export type PoolOptions = Omit<AggregateOptions, "reducer">;

export interface PoolJob {
  readonly choice: Choice;
  readonly deltas: readonly Float32Array[];
  readonly options: PoolOptions;
}

/** detail: what stands behind the text of the code. mistake: an error of another kind, which ended this job alone. */
export type PoolAnswer =
  | { readonly result: Aggregate }
  | { readonly mistake: unknown }
  | { readonly failure: { readonly code: ErrorCode; readonly detail: string | undefined } };

/** Keeps its threads, and with them the process, until close. Calls are answered one after the other. */
export class AggregationPool {
  readonly #coordinator: Worker;
  #isClosed = false;
  readonly #pending: PromiseWithResolvers<PoolAnswer>[] = [];

  /** threads: 1 or more. */
  constructor(threads: number) {
    if (!Number.isSafeInteger(threads) || threads < 1 || threads > THREADS_MAX) {
      throw new RangeError(`Cannot start threads: expected 1 to ${THREADS_MAX}, got ${threads}`);
    }
    this.#coordinator = new Worker(workerFile(), { workerData: { helpers: threads - 1 } });
    this.#coordinator.on("message", (answer: PoolAnswer) => this.#pending.shift()?.resolve(answer));
    this.#coordinator.on("error", (error: Error) => this.#fail(error));
    this.#coordinator.on("exit", () => this.#fail(closed()));
  }

  /**
   * As aggregate. Updates in shared memory are used where they lie; others are copied there, and the copies wiped. They
   * must not change before the promise is settled.
   */
  async aggregate(choice: Choice, deltas: readonly Float32Array[], options: PoolOptions = {}): Promise<Aggregate> {
    const checked = readChoice(choice);
    checkInput(deltas, options);
    const copies: Float32Array[] = [];
    try {
      const job: PoolJob = { choice: checked, deltas: deltas.map((delta) => shared(delta, copies)), options };
      if (this.#isClosed) throw closed();
      this.#coordinator.postMessage(job); // throws where options hold what cannot be sent: then no answer comes
      const answered = Promise.withResolvers<PoolAnswer>();
      this.#pending.push(answered);
      const answer = await answered.promise;
      if ("mistake" in answer) throw answer.mistake;
      if ("failure" in answer) throw new QflareError(answer.failure.code, answer.failure.detail);
      return answer.result;
    } finally {
      for (const copy of copies) copy.fill(0);
    }
  }

  async close(): Promise<void> {
    await this.#coordinator.terminate();
  }

  #fail(error: Error): void {
    this.#isClosed = true;
    for (const pending of this.#pending.splice(0)) pending.reject(error);
  }
}

function closed(): Error {
  return new Error("Cannot aggregate: the pool is closed");
}

/** A view of shared memory: the array itself, or a copy, which is added to copies. */
export function shared(array: Float32Array, copies: Float32Array[]): Float32Array {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = new Float32Array(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  copies.push(copy);
  return copy;
}

/** Sources in development, compiled files in the package. */
export function workerFile(): string {
  const here = fileURLToPath(import.meta.url);
  return here.replace(/pool\.([jt]s)$/, "pool-worker.$1");
}

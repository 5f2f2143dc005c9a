// A thread of a pool: the coordinator, which runs rules and starts the helpers, or a helper, which takes pieces.

import { parentPort, Worker, workerData } from "node:worker_threads";
import { QflareError } from "../core/error.ts";
import { Reducer } from "../math/reducer.ts";
import { aggregateOn } from "./aggregate.ts";
import { type PoolAnswer, type PoolJob, workerFile } from "./pool.ts";
import { help, type Operation, PoolEngine } from "./pool-engine.ts";

const reducer = new Reducer();
const port = parentPort!;

function coordinate(count: number): void {
  const helpers = Array.from({ length: count }, () => new Worker(workerFile(), { workerData: {} }));
  port.on("message", (job: PoolJob) => port.postMessage(answer(job, helpers)));
}

function answer({ choice, deltas, options }: PoolJob, helpers: readonly Worker[]): PoolAnswer {
  const engine = new PoolEngine(reducer, helpers);
  try {
    return { result: aggregateOn(engine, choice, deltas, options) };
  } catch (error) {
    if (!(error instanceof QflareError)) return { mistake: error };
    const { length } = new QflareError(error.code).message;
    const detail = error.message.length === length ? undefined : error.message.slice(length + 2);
    return { failure: { code: error.code, detail } };
  } finally {
    engine.wipe();
    reducer.wipe();
  }
}

const { helpers } = workerData as { helpers?: number };
if (helpers === undefined) port.on("message", (operation: Operation) => help(reducer, operation));
else coordinate(helpers);

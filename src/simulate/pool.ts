// Worker threads, and a queue of jobs in front of them. Which thread does a job never shows in its answer.

import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { EvaluateAnswer, EvaluateJob, Job, SharedData, TrainAnswer, TrainJob } from "./jobs.ts";

interface Waiting {
  readonly job: Job;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Pool {
  readonly threads: number;
  readonly #workers: Worker[];
  readonly #idle: Worker[];
  readonly #queue: Waiting[] = [];
  readonly #running = new Map<Worker, Waiting>();

  constructor(threads: number, data: SharedData) {
    const program = new URL(`./train-worker${extname(import.meta.url)}`, import.meta.url);
    this.threads = threads;
    this.#workers = Array.from({ length: threads }, () => new Worker(program, { workerData: data }));
    this.#idle = [...this.#workers];
    for (const worker of this.#workers) {
      worker.on("message", (message: { answer?: unknown; failure?: string }) => this.#finish(worker, message));
      worker.on("error", (error) => this.#finish(worker, { failure: String(error) }));
    }
  }

  async train(job: TrainJob): Promise<TrainAnswer> {
    return (await this.#add(job)) as TrainAnswer;
  }

  async evaluate(job: EvaluateJob): Promise<EvaluateAnswer> {
    return (await this.#add(job)) as EvaluateAnswer;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #add(job: Job): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    while (this.#queue.length > 0 && this.#idle.length > 0) {
      const [worker, waiting] = [this.#idle.pop()!, this.#queue.shift()!];
      this.#running.set(worker, waiting);
      worker.postMessage(waiting.job);
    }
  }

  #finish(worker: Worker, { answer, failure }: { answer?: unknown; failure?: string }): void {
    const waiting = this.#running.get(worker);
    this.#running.delete(worker);
    this.#idle.push(worker);
    if (failure === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(failure));
    this.#start();
  }
}

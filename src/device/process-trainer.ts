// A trainer that is another program, in any language: it reads jobs and writes answers as lines of JSON, and models go
// to and fro as safetensors files in a folder of ours that is gone afterwards.
//
//   to its standard input      {"job": 1, "model": <path>, "result": <path>, "plan": {...}, "seed": 7}
//   from its standard output   {"job": 1, "examples": 600, "loss": 0.42}, once the result is written
//
// The program lives from the first job until its standard input ends, so that it pays its start once. What it says for
// people belongs on standard error.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { float, object, uint } from "../core/shape.ts";
import type { ModelDescription } from "../learning/model.ts";
import { decodeParameters, encodeModel } from "../learning/model-file.ts";
import type { Trainer, TrainingJob, TrainingResult } from "../learning/trainer.ts";

export interface ProcessTrainerOptions {
  /** Program and arguments; no shell reads them. */
  readonly command: readonly string[];
  /** A job that takes longer fails. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 3_600_000;
const PATIENCE_MS = 2000; // for a program that was asked to end
const LAST_WORDS_LENGTH_MAX = 500;
const answerShape = object({ job: uint(1), examples: uint(1, LIMITS.examplesMax), loss: float() });

export function createProcessTrainer(description: ModelDescription, options: ProcessTrainerOptions): Trainer {
  return new ProcessTrainer(description, options);
}

class ProcessTrainer implements Trainer {
  readonly #description: ModelDescription;
  readonly #command: readonly string[];
  readonly #timeoutMs: number;
  #program: Program | undefined;
  #closing: Promise<void> | undefined;
  #jobs = 0;

  constructor(description: ModelDescription, { command, timeoutMs = TIMEOUT_MS }: ProcessTrainerOptions) {
    if (command.length === 0) throw new RangeError("Cannot start trainer: expected a program, got no words");
    if (!(timeoutMs > 0 && timeoutMs <= LIMITS.trainingMsMax)) {
      throw new RangeError(`Cannot start trainer: expected at most ${LIMITS.trainingMsMax} ms, got ${timeoutMs}`);
    }
    this.#description = description;
    this.#command = command;
    this.#timeoutMs = timeoutMs;
  }

  /** Throws training.failed where the program ends, is late, or answers with anything but a model of this form. */
  async train(job: TrainingJob): Promise<TrainingResult> {
    const folder = mkdtempSync(join(tmpdir(), "qflare-training-"));
    try {
      return await this.#exchange(folder, job);
    } catch (error) {
      // A program that failed once is not trusted with the next job; that one starts it anew.
      await this.close();
      throw error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async #exchange(folder: string, { parameters, plan, seed }: TrainingJob): Promise<TrainingResult> {
    this.#jobs += 1;
    const [model, result] = [join(folder, "global.safetensors"), join(folder, "local.safetensors")];
    writeFileSync(model, encodeModel(this.#description, parameters));
    this.#program ??= new Program(this.#command);
    const request = { job: this.#jobs, model, result, plan, seed };
    const answer = readAnswer(await this.#program.ask(JSON.stringify(request), this.#timeoutMs));
    if (answer.job !== this.#jobs) fail(`expected an answer to job ${this.#jobs}, got one to ${answer.job}`);
    return { parameters: this.#readResult(result), examples: answer.examples, loss: answer.loss };
  }

  #readResult(path: string): Float32Array<ArrayBuffer> {
    try {
      const { size } = statSync(path);
      if (size > LIMITS.modelBytesMax) fail(`expected at most ${LIMITS.modelBytesMax} bytes, got ${size}`);
      return decodeParameters(this.#description, readFileSync(path));
    } catch (cause) {
      if (cause instanceof QflareError && cause.code === "training.failed") throw cause;
      return fail(`its result: ${(cause as Error).message}`, cause);
    }
  }

  /** Whoever calls waits until the program is gone, also where another has asked for it already. */
  async close(): Promise<void> {
    const program = this.#program;
    this.#program = undefined;
    if (program !== undefined) this.#closing = program.end();
    await this.#closing;
  }
}

/** The running program. One question at a time. */
class Program {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #output = "";
  #lastWords = "";
  #take: ((line: string) => void) | undefined;
  #refuse: ((error: Error) => void) | undefined;

  constructor([file, ...args]: readonly string[]) {
    // In a group of its own, so that ending it ends what it started too.
    this.#process = spawn(file!, args, { stdio: ["pipe", "pipe", "pipe"], env: environment(), detached: true });
    const { stdin, stdout, stderr } = this.#process;
    stdin!.on("error", () => undefined); // its end is told by "close"
    stdout!.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    stderr!.setEncoding("utf8").on("data", (text: string) => {
      process.stderr.write(text);
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_LENGTH_MAX);
    });
    this.#exited = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#refuse?.(failure(why));
        resolve();
      };
      this.#process.once("error", (error) => end(`${file}: ${error.message}`));
      this.#process.once("close", (code, signal) => end(`it ended with ${signal ?? code}${this.#lastLine()}`));
    });
  }

  /** The next line that it writes. */
  async ask(line: string, timeoutMs: number): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#take = resolve;
    this.#refuse = reject;
    const timer = setTimeout(() => reject(failure(`no answer in ${timeoutMs} ms`)), timeoutMs);
    try {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) fail(`it had ended${this.#lastLine()}`);
      if (this.#output !== "") fail("expected one line for each job, got more");
      this.#process.stdin!.write(`${line}\n`);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#take = undefined;
      this.#refuse = undefined;
    }
  }

  #read(text: string): void {
    this.#output += text;
    if (this.#output.length > LIMITS.trainerAnswerBytesMax) {
      this.#output = "";
      this.#refuse?.(failure(`expected a line of at most ${LIMITS.trainerAnswerBytesMax} bytes`));
      return;
    }
    const end = this.#output.indexOf("\n");
    if (end === -1 || this.#take === undefined) return;
    const line = this.#output.slice(0, end);
    this.#output = this.#output.slice(end + 1);
    this.#take(line);
  }

  #lastLine(): string {
    const line = this.#lastWords.trim().split("\n").at(-1) ?? "";
    return line === "" ? "" : `: ${line}`;
  }

  async end(): Promise<void> {
    this.#refuse?.(failure("it was ended"));
    this.#process.stdin!.end();
    const timer = setTimeout(() => this.#kill(), PATIENCE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #kill(): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Ours without the settings of qflare, which may hold a token. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("QFLARE_")));
}

function readAnswer(line: string): { job: number; examples: number; loss: number } {
  try {
    return answerShape.read(JSON.parse(line), "answer");
  } catch (cause) {
    return fail(`its answer ${JSON.stringify(line.slice(0, 80))}: ${(cause as Error).message}`, cause);
  }
}

function failure(why: string, cause?: unknown): QflareError {
  return new QflareError("training.failed", why, cause === undefined ? {} : { cause });
}

function fail(why: string, cause?: unknown): never {
  throw failure(why, cause);
}

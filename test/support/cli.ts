// The command line as a user starts it: child processes of bin/qflare.js, their lines, their ends.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const PROGRAM = join(ROOT, "bin", "qflare.js");

/** Far longer than anything takes: only what hangs gets there. */
export const PATIENCE_MS = 90_000;

export type JsonLine = Readonly<Record<string, unknown>>;

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The command line of another copy of the package. */
  readonly program?: string;
  /** The Node to run; by default the one that runs the tests. */
  readonly node?: string;
  /** Leads a process group of its own, as a command typed into a terminal does. */
  readonly isGroup?: boolean;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Waiter {
  readonly matches: (line: JsonLine) => boolean;
  readonly resolve: (line: JsonLine) => void;
  readonly reject: (error: Error) => void;
}

export class Cli {
  readonly args: readonly string[];
  /** Lines of standard output that are JSON objects, in order. */
  readonly lines: JsonLine[] = [];
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  #stdout = "";
  #stderr = "";
  #hasEnded = false;

  constructor(args: readonly string[], options: StartOptions = {}) {
    this.args = args;
    this.#process = spawn(options.node ?? process.execPath, [options.program ?? PROGRAM, ...args], {
      cwd: options.cwd ?? tmpdir(),
      env: options.env ?? cleanEnvironment(),
      detached: options.isGroup ?? false,
      stdio: ["ignore", "pipe", "pipe"],
    });
    createInterface({ input: this.#process.stdout! }).on("line", (line) => this.#take(line));
    this.#process.stderr!.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.ended = once(this.#process, "close").then(([code, signal]) => this.#end(code, signal));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The first line from index `from` on for which it holds; waits for it. */
  async line(matches: (line: JsonLine) => boolean, what: string, from = 0): Promise<JsonLine> {
    const seen = this.lines.slice(from).find(matches);
    if (seen !== undefined) return seen;
    if (this.#hasEnded) throw new Error(`${this.#title}: it ended without ${what}\n${this.#stdout}${this.#stderr}`);
    return await withPatience(
      new Promise<JsonLine>((resolve, reject) => this.#waiters.add({ matches, resolve, reject })),
      () => `${this.#title}: waiting for ${what}\n${this.#stdout.slice(-2000)}${this.#stderr}`,
    );
  }

  async event(name: string, from = 0): Promise<JsonLine> {
    return await this.line((line) => line.event === name, `event ${name}`, from);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** kill -9, and nothing is left of it. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ending();
  }

  async ending(): Promise<Ending> {
    return await withPatience(this.ended, () => `${this.#title}: waiting for its end\n${this.#stdout}${this.#stderr}`);
  }

  get #title(): string {
    return `qflare ${this.args.join(" ").slice(0, 200)}`;
  }

  #take(text: string): void {
    this.#stdout += `${text}\n`;
    if (!text.startsWith("{")) return;
    const line = JSON.parse(text) as JsonLine;
    this.lines.push(line);
    for (const waiter of this.#waiters) {
      if (!waiter.matches(line)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(line);
    }
  }

  #end(code: number | null, signal: NodeJS.Signals | null): Ending {
    this.#hasEnded = true;
    const last = new Error(`${this.#title}: it ended with ${signal ?? code}\n${this.#stdout}${this.#stderr}`);
    for (const waiter of this.#waiters) waiter.reject(last);
    return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
  }
}

/** Nothing of QFLARE_* from whoever runs the tests, no colours. */
export function cleanEnvironment(also: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(QFLARE_|NODE_)/.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: "1", ...also };
}

/** Runs to the end. */
export async function runCli(args: readonly string[], options: StartOptions = {}): Promise<Ending> {
  const child = new Cli(args, options);
  try {
    return await child.ending();
  } finally {
    if (!child.hasEnded) child.signal("SIGKILL");
  }
}

async function withPatience<T>(work: Promise<T>, describe: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(describe())), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until there is an answer. */
export async function eventually<T>(ask: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (performance.now() < untilMs) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waiting for ${what}`);
}

/** Runs the work for each item, a few at a time. */
export async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Process ids of its children and theirs. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      // The second field is the program's name in brackets and may hold anything.
      const fields = readFileSync(`/proc/${name}/stat`, "utf8").split(")").at(-1)!.trim().split(" ");
      if (fields[0] !== "Z") parents.set(Number(name), Number(fields[1]));
    } catch {
      // It ended between the two calls.
    }
  }
  const below = (parent: number): number[] =>
    [...parents].filter(([, of]) => of === parent).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A folder that is gone after the tests of the file; short, so that a socket's path fits. */

// Child processes of the demonstration: this program again, each speaking JSON lines. They get nothing of QFLARE_*, and
// their standard input ends with this process, so that a command with --end-with-input does not outlive it.

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "./version.ts";

const ERROR_TEXT_LENGTH_MAX = 2000;

export type JsonLine = Readonly<Record<string, unknown>>;

export class Child {
  readonly #process: ChildProcess;
  #errorText = "";
  #exit: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  readonly exited: Promise<void>;

  /** input: a first line for it, which nobody else on the machine gets to see. */
  constructor(args: readonly string[], onLine: (line: JsonLine) => void, input = "") {
    const program = join(packageRoot(), "bin", "qflare.js");
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("QFLARE_")));
    this.#process = spawn(process.execPath, [program, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
    // One that has ended does not read any more; its exit says so.
    this.#process.stdin!.on("error", () => undefined);
    this.#process.stdin!.write(input);
    createInterface({ input: this.#process.stdout! }).on("line", (line) => onLine(JSON.parse(line) as JsonLine));
    this.#process.stderr!.on("data", (chunk: Buffer) => {
      this.#errorText = (this.#errorText + chunk.toString()).slice(-ERROR_TEXT_LENGTH_MAX);
    });
    this.exited = new Promise((resolve) => {
      this.#process.once("close", (code, signal) => {
        this.#exit = { code, signal };
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  /** Why it ended, in one line. */
  get ending(): string {
    const lastWords = this.#errorText.trim().split("\n").at(-1) ?? "";
    return lastWords === "" ? `it ended with ${this.#exit?.signal ?? this.#exit?.code}` : lastWords;
  }

  /** Asks it to end, and ends it where it does not. */
  async stop(patienceMs = 5000): Promise<void> {
    if (this.hasExited) return;
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), patienceMs);
    // A stopped process would take the SIGTERM only once it goes on.
    this.#process.kill("SIGCONT");
    await this.exited;
    clearTimeout(timer);
  }
}

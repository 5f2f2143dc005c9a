// A program of bench/ as a process of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

export class Program {
  readonly #process: ChildProcess;
  readonly #output: Interface;

  constructor(file: string, args: readonly string[]) {
    this.#process = spawn(process.execPath, [join(folder, file), ...args], { stdio: ["ignore", "pipe", "inherit"] });
    this.#output = createInterface({ input: this.#process.stdout! });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    const [text] = (await once(this.#output, "line")) as [string];
    return text;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

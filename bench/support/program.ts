// A program of bench/ as a process of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));

export class Program {
  readonly #process: ChildProcess;

  constructor(file: string, args: readonly string[]) {
    this.#process = spawn(process.execPath, [join(folder, file), ...args], { stdio: ["ignore", "inherit", "inherit"] });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

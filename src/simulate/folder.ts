// The folder of a simulation: its plan, one file a run, and the results. A second start with the same plan goes on
// where the first one stopped; with another plan it is refused, so that no result is a mixture.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { QflareError } from "../core/error.ts";
import { bytesFromFloats, floatsFromBytes } from "../core/floats.ts";
import { makeFolder } from "../crypto/folder.ts";
import { NO_SPACE } from "../crypto/secret-file.ts";
import type { Grid, RunStore } from "./grid.ts";
import type { RoundRecord, Snapshot } from "./run.ts";

interface Stored {
  readonly records: readonly RoundRecord[];
  /** base64 of float32; absent in a run that is finished. */
  readonly parameters: string;
  readonly previous: string | null;
}

export class SimulationFolder implements RunStore {
  readonly #path: string;

  /** Throws config.invalid where the folder holds another simulation; as write does for what it cannot hold. */
  constructor(path: string, grid: Grid) {
    this.#path = path;
    const runs = join(path, "runs");
    named(runs, () => makeFolder(runs));
    const plan = `${JSON.stringify(grid, null, 1)}\n`;
    const file = join(path, "plan.json");
    if (existsSync(file) && named(file, () => readFileSync(file, "utf8")) !== plan) {
      throw new QflareError("config.invalid", `${path} holds another simulation; expected an empty folder`);
    }
    this.write("plan.json", plan);
  }

  load(key: string): Snapshot | undefined {
    const file = join(this.#path, "runs", `${key}.json`);
    if (!existsSync(file)) return undefined;
    try {
      const { records, parameters, previous } = JSON.parse(readFileSync(file, "utf8")) as Stored;
      const floats = (text: string): Float32Array => floatsFromBytes(new Uint8Array(Buffer.from(text, "base64")));
      return { records, parameters: floats(parameters), previous: previous === null ? undefined : floats(previous) };
    } catch (cause) {
      throw new QflareError("store.corrupt", `${file} cannot be read; remove it to run this part again`, { cause });
    }
  }

  save(key: string, { records, parameters, previous }: Snapshot): void {
    const text = (floats: Float32Array): string =>
      Buffer.from(bytesFromFloats(new Float32Array(floats))).toString("base64");
    const stored: Stored = {
      records,
      parameters: text(parameters),
      previous: previous === undefined ? null : text(previous),
    };
    this.write(join("runs", `${key}.json`), JSON.stringify(stored));
  }

  /** Whole or not at all. Returns the path. Throws store.full or store.unavailable. */
  write(name: string, contents: string): string {
    const path = join(this.#path, name);
    named(path, () => {
      writeFileSync(`${path}.new`, contents);
      renameSync(`${path}.new`, path);
    });
    return path;
  }
}

/** What the file system refuses is told with its place. */
function named<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    if (NO_SPACE.includes(code)) throw new QflareError("store.full", path, { cause });
    throw new QflareError("store.unavailable", `${path} (${code})`, { cause });
  }
}

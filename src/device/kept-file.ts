// A small file beside the key file.

import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** undefined where there is none. */
export function readKept(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all. After a loss of power an earlier one may stand there. */
export function keep(path: string, contents: Uint8Array): void {
  writeFileSync(`${path}.new`, contents, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

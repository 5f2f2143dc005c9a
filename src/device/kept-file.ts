// A small file beside the key file, whole or not at all. After a loss of power an earlier one may stand there.

import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** undefined where there is none. */
export function readKept(path: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export function keep(path: string, contents: string | Uint8Array): void {
  writeFileSync(`${path}.new`, contents, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

// A small file beside the key file.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { QflareError } from "../core/error.ts";
import { NO_SPACE } from "../crypto/secret-file.ts";

/** undefined where there is none. Throws store.unavailable where it cannot be read. */
export function readKept(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw keptError(error, path);
  }
}

/**
 * Whole or not at all. After a loss of power an earlier one may stand there. Throws store.full or store.unavailable;
 * what stood there before then still does.
 */
export function keep(path: string, contents: Uint8Array): void {
  try {
    writeFileSync(`${path}.new`, contents, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw keptError(error, path);
  }
}

/** The coded form of what the file system threw. */
function keptError(cause: unknown, path: string): QflareError {
  const { code = "" } = cause as NodeJS.ErrnoException;
  if (NO_SPACE.includes(code)) return new QflareError("store.full", path, { cause });
  return new QflareError("store.unavailable", `${path} (${code})`, { cause });
}

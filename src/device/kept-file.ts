// A small file beside the key file.

import { readFileSync } from "node:fs";
import { QflareError } from "../core/error.ts";
import { writeSecretFile } from "../crypto/secret-file.ts";

/** undefined where there is none. Throws store.unavailable where it cannot be read. */
export function readKept(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw keptError(error, path);
  }
}

/** On disk on return. Throws store.full or store.unavailable; what stood there before then still does. */
export function keep(path: string, contents: Uint8Array): void {
  try {
    writeSecretFile(path, contents);
  } catch (error) {
    throw error instanceof QflareError ? error : keptError(error, path);
  }
}

function keptError(cause: unknown, path: string): QflareError {
  return new QflareError("store.unavailable", `${path} (${(cause as NodeJS.ErrnoException).code})`, { cause });
}

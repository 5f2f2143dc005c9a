// A small file beside the key file.

import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { QflareError } from "../core/error.ts";
import { syncFolderInBackground, writeSecretFile } from "../crypto/secret-file.ts";

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

/**
 * As keep, without holding up the process; throws what the file system does. Synced before it is renamed: a loss of
 * power would else leave an empty file under that name. One at a time for a path.
 */
export async function keepInBackground(path: string, contents: string): Promise<void> {
  await writeFile(`${path}.new`, contents, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  await syncFolderInBackground(dirname(path));
}

function keptError(cause: unknown, path: string): QflareError {
  return new QflareError("store.unavailable", `${path} (${(cause as NodeJS.ErrnoException).code})`, { cause });
}

// A small file beside the key file.

import { readFileSync, renameSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { QflareError } from "../core/error.ts";
import { syncFolderInBackground, temporaryName, writeSecretFile } from "../crypto/secret-file.ts";

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
 * As keep, without holding up the process; throws what the file system does. isOvertaken: asked when all but the name
 * is done, since another process may have kept something newer meanwhile; that then stays.
 */
export async function keepInBackground(path: string, contents: string, isOvertaken: () => boolean): Promise<void> {
  const temporary = temporaryName(path);
  try {
    // Synced before it is renamed: a loss of power would else leave an empty file under that name.
    await writeFile(temporary, contents, { flag: "wx", mode: 0o600, flush: true });
    if (isOvertaken()) return;
    // In the same turn, so that the answer still holds.
    renameSync(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolderInBackground(dirname(path));
}

function keptError(cause: unknown, path: string): QflareError {
  return new QflareError("store.unavailable", `${path} (${(cause as NodeJS.ErrnoException).code})`, { cause });
}

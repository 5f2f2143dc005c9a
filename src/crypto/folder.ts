// Folders that people name, with those above them that are missing.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Those that were made, topmost first; none where the folder was there. Throws the first answer of the file system that
 * is no. Node's recursive mkdir never ends where a folder that is there answers ENOENT, as /proc does.
 */
export function makeFolder(path: string, mode?: number): string[] {
  if (isFolder(path)) return [];
  try {
    return makeOne(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || existsSync(dirname(path))) throw error;
    return [...makeFolder(dirname(path), mode), ...makeOne(path, mode)];
  }
}

/** Another process may have been faster. */
function makeOne(path: string, mode: number | undefined): string[] {
  try {
    mkdirSync(path, { mode });
    return [path];
  } catch (error) {
    if (isFolder(path)) return [];
    throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

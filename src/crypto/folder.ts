// Folders that people name, with those above them that are missing.

import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Those that were made, topmost first; none where the folder was there. Throws the first answer of the file system that
 * is no. Node's recursive mkdir never ends where a folder that is there answers ENOENT, as /proc does.
 */
export function makeFolder(path: string, mode?: number): string[] {
  if (isFolder(path)) return [];
  const missing = [path];
  for (let above = dirname(path); !isThere(above); above = dirname(above)) missing.unshift(above);
  return missing.filter((folder) => isMade(folder, mode));
}

/** False where another process was faster. */
function isMade(path: string, mode: number | undefined): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (isFolder(path)) return false;
    throw error;
  }
}

/** What is its own parent always is. */
function isThere(path: string): boolean {
  return dirname(path) === path || statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

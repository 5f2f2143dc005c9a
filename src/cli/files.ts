// Files that people name.

import { existsSync, readFileSync, statSync } from "node:fs";
import { makeFolder } from "../crypto/folder.ts";
import { UsageError } from "./output.ts";

/** Throws UsageError, which names the flag. */
export function readBytes(path: string, flag: string, bytesMax = Number.POSITIVE_INFINITY): Buffer {
  if (!existsSync(path)) throw new UsageError(`${flag}: there is no ${path}`);
  try {
    const { size } = statSync(path);
    if (size > bytesMax) throw new UsageError(`${flag}: expected at most ${bytesMax} bytes, got ${size}`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${flag}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Throws UsageError, which names the flag. */
export function readJson(path: string, flag: string, bytesMax: number): unknown {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new UsageError(`${flag}: there is no file ${path}`);
  }
  try {
    return JSON.parse(readBytes(path, flag, bytesMax).toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${flag}: ${path} is not JSON`);
    throw error;
  }
}

/** Throws UsageError, which names the flag. */
export function makeNamedFolder(path: string, flag: string, mode?: number): void {
  if (path === "") throw new UsageError(`${flag}: expected a folder, got no name`);
  try {
    makeFolder(path, mode);
  } catch (error) {
    throw new UsageError(`${flag}: ${path} cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
}

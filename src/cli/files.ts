// Files and folders that people name.

import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";
import { makeFolder } from "../crypto/folder.ts";
import { NO_SPACE } from "../crypto/secret-file.ts";
import { UsageError } from "./output.ts";

/** Of what people write by hand. */
const BYTES_MAX = 2 ** 20;
const PIECE_BYTES = 65_536;

/** Of a file, a pipe or a device. Throws UsageError, which names the flag. */
export function readBytes(path: string, flag: string, bytesMax = BYTES_MAX): Buffer {
  const tooLong = (got: number | "more"): UsageError =>
    new UsageError(`${flag}: expected at most ${bytesMax} bytes, got ${got}`);
  try {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status === undefined) throw new UsageError(`${flag}: there is no ${path}`);
    if (status.isDirectory()) throw new UsageError(`${flag}: ${path} is no file`);
    if (status.size > bytesMax) throw tooLong(status.size);
    const contents = status.isFile() ? readFileSync(path) : readStream(path, bytesMax);
    if (contents === undefined) throw tooLong("more");
    return contents;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${flag}: ${path} cannot be read (${codeOf(error)})`);
  }
}

/** undefined where it is longer: nobody has promised that it has an end. */
function readStream(path: string, bytesMax: number): Buffer | undefined {
  const stream = openSync(path, "r");
  try {
    const pieces: Buffer[] = [];
    for (let left = bytesMax; left >= 0; left -= pieces.at(-1)!.length) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const length = readSync(stream, piece);
      if (length === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, length));
    }
    return undefined;
  } finally {
    closeSync(stream);
  }
}

/** Throws UsageError, which names the flag. */
export function readText(path: string, flag: string, bytesMax = BYTES_MAX): string {
  return readBytes(path, flag, bytesMax).toString("utf8");
}

/** Throws UsageError, which names the flag. */
export function readJson(path: string, flag: string, bytesMax: number): unknown {
  const text = readText(path, flag, bytesMax);
  try {
    return parseJson(text);
  } catch {
    throw new UsageError(`${flag}: ${path} is not JSON with every key once`);
  }
}

/** Throws UsageError, which names the flag. */
export function makeNamedFolder(path: string, flag: string, mode?: number): void {
  if (path === "") throw new UsageError(`${flag}: expected a folder, got no name`);
  try {
    makeFolder(path, mode);
  } catch (error) {
    throw new UsageError(`${flag}: ${path} cannot be made (${codeOf(error)})`);
  }
}

type Write = (path: string, contents: Uint8Array) => void;

/** Throws UsageError, which names the flag, or store.full. */
export function writeNamed(
  path: string,
  flag: string,
  contents: Uint8Array | string,
  write: Write = writeFileSync,
): void {
  try {
    write(path, typeof contents === "string" ? Buffer.from(contents) : contents);
  } catch (error) {
    if (error instanceof QflareError) throw error;
    if (NO_SPACE.includes(codeOf(error))) throw new QflareError("store.full", path, { cause: error });
    throw new UsageError(`${flag}: ${path} cannot be written (${codeOf(error)})`);
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "error";
}

// Files that are interfaces: what matters is which system calls reach the kernel, in which order and how often. The
// operations are a port because no file system of a test can stand in for the kernel's: what a write means is decided
// in its driver, partly at close, and the traps are there. A file system in user space could show them too, but needs a
// kernel module and rights that a test has not.

import { closeSync, constants, mkdirSync, openSync, readSync, rmdirSync, writeSync } from "node:fs";
import { concat, fromUtf8, utf8 } from "../../core/bytes.ts";
import { type ErrorCode, QflareError } from "../../core/error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Each is one system call and throws Node's error with its code, such as EBUSY. */
export interface FileOperations {
  /** Never makes a file: where the kernel shows none, there is none to make. */
  open(path: string, mode: "read" | "write" | "both"): number;
  /** How many bytes came; 0 at the end. */
  read(file: number, into: Uint8Array): number;
  /** How many bytes went. */
  write(file: number, bytes: Uint8Array): number;
  close(file: number): void;
  makeFolder(path: string): void;
  removeFolder(path: string): void;
}

const MODES = { read: constants.O_RDONLY, write: constants.O_WRONLY, both: constants.O_RDWR } as const;

export const systemFiles: FileOperations = {
  open: (path, mode) => openSync(path, MODES[mode]),
  read: (file, into) => readSync(file, into, 0, into.length, null),
  write: (file, bytes) => writeSync(file, bytes, 0, bytes.length, null),
  close: closeSync,
  makeFolder: (path) => mkdirSync(path),
  removeFolder: rmdirSync,
};

/** Of a failed system call, or of one that Node's permission model does not let through; undefined for any other. */
export function errnoOf(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === "ERR_ACCESS_DENIED") return "EACCES";
  return syscall === undefined ? undefined : code;
}

export interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
  /** Whether another attempt may go better. */
  readonly isPassing?: true;
}

/** What each errno of an interface means. */
export type Meanings = Readonly<Record<string, Meaning>>;

const UNKNOWN: Meaning = { code: "evidence.failed", text: "an error that this interface is not known for" };

/** The coded error of a failed system call, with what it means on this interface. Any other error is given back. */
export function explain(error: unknown, meanings: Meanings): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const { code, text } = Object.hasOwn(meanings, errno) ? meanings[errno]! : UNKNOWN;
  return new QflareError(code, `${text} (${(error as Error).message})`, { cause: error });
}

const PIECE_BYTES = 16 * 1024;

/** To the end, since the length that stat gives is 0 or a page. Throws evidence.failed beyond lengthMax. */
export function readDevice(files: FileOperations, path: string, lengthMax: number): Bytes {
  const file = files.open(path, "read");
  try {
    return readToEnd(files, file, lengthMax, path);
  } finally {
    files.close(file);
  }
}

function readToEnd(files: FileOperations, file: number, lengthMax: number, path: string): Bytes {
  const pieces: Uint8Array[] = [];
  for (let length = 0; ; ) {
    const piece = new Uint8Array(PIECE_BYTES);
    const count = files.read(file, piece);
    if (count === 0) return concat(...pieces);
    length += count;
    if (length > lengthMax) throw new QflareError("evidence.failed", `${path}: expected at most ${lengthMax} bytes`);
    pieces.push(piece.subarray(0, count));
  }
}

const TEXT_BYTES_MAX = 4096; // a page: all that a text attribute can have

/** Without the newline at its end. */
export function readDeviceText(files: FileOperations, path: string): string {
  return fromUtf8(readDevice(files, path, TEXT_BYTES_MAX)).trimEnd();
}

/** In one system call: a second one would be another value, not the rest of this one. */
export function writeDevice(files: FileOperations, path: string, value: Uint8Array | string): void {
  const bytes = typeof value === "string" ? utf8(value) : value;
  const file = files.open(path, "write");
  let count: number;
  try {
    count = files.write(file, bytes);
  } finally {
    files.close(file);
  }
  if (count !== bytes.length) {
    throw new QflareError("evidence.failed", `${path}: expected to write ${bytes.length} bytes, wrote ${count}`);
  }
}

// Files that hold keys: mode 0600 from the first byte, whole or not there, read into memory of our own.

import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { ownBytes, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { systemRandom } from "./random.ts";

const OTHERS = 0o077;
const BYTES_MAX = 2 ** 20;
/** O_SYNC: the enclave, too, writes through such a file, and Node's permission model leaves it no fsync. */
const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_SYNC;
export const NO_SPACE: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/**
 * On return the file is on disk, under its name. Throws store.full where there is no space; the file that was there
 * before is then untouched.
 */
export function writeSecretFile(path: string, contents: Uint8Array): void {
  const temporary = temporaryName(path);
  try {
    writeWhole(temporary, contents);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const isFull = NO_SPACE.includes((cause as NodeJS.ErrnoException).code ?? "");
    throw isFull ? new QflareError("store.full", path, { cause }) : cause;
  }
  syncFolder(dirname(path));
}

/** Nobody else has this name: whatever stands beside the file is not ours to remove. */
export function temporaryName(path: string): string {
  return `${path}.${toHex(systemRandom.bytes(8))}.new`;
}

function writeWhole(path: string, contents: Uint8Array): void {
  const file = openSync(path, WRITE_FLAGS, 0o600);
  try {
    // A call may write less than it is given, without an error, when the space ends in the middle.
    for (let at = 0; at < contents.length; ) at += writeSync(file, contents, at);
  } finally {
    closeSync(file);
  }
}

/** A new name is durable once its folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** As syncFolder, without holding up the process. */
export async function syncFolderInBackground(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Throws what writing there would throw, so that nothing is asked of others for a key that has no place. */
export function checkSecretPlace(path: string): void {
  const temporary = temporaryName(path);
  writeWhole(temporary, new Uint8Array(0));
  rmSync(temporary);
}

/**
 * Opens the file for another process to read and write, and makes an empty one if there is none; the caller closes it.
 * Throws keystore.permissions where its group or others may touch it, store.full where there is no space for it.
 */
export function openSecretFile(path: string): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_SYNC;
  let file: number;
  try {
    file = openSync(path, flags, 0o600);
  } catch (cause) {
    const isFull = NO_SPACE.includes((cause as NodeJS.ErrnoException).code ?? "");
    throw isFull
      ? new QflareError("store.full", path, { cause })
      : new QflareError("keystore.malformed", `${path} cannot be opened`, { cause });
  }
  try {
    checkStatus(path, file);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Returns its size in bytes. */
function checkStatus(path: string, file: number): number {
  const status = fstatSync(file);
  const { mode, size } = status;
  if (!status.isFile()) throw new QflareError("keystore.malformed", `${path} is no file`);
  if ((mode & OTHERS) !== 0) {
    throw new QflareError("keystore.permissions", `expected mode 0600 on ${path}, got 0${(mode & 0o777).toString(8)}`);
  }
  return size;
}

/** undefined where there is no such file. Throws keystore.permissions where its group or others may touch it. */
export function readSecretFile(path: string): Uint8Array<ArrayBuffer> | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new QflareError("keystore.malformed", `${path} cannot be opened`, { cause: error });
  }
  try {
    const size = checkStatus(path, file);
    if (size > BYTES_MAX) throw new QflareError("keystore.malformed", `${path} holds ${size} bytes`);
    const contents = ownBytes(size);
    if (readSync(file, contents) !== size) throw new QflareError("keystore.malformed", `${path} cannot be read whole`);
    return contents;
  } finally {
    closeSync(file);
  }
}

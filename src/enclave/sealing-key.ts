// The sealing key of a simulated enclave: a file of 32 random bytes that is made at the first start. In a TEE the platform
// derives this key from the measured program; here its only protection is the file's owner and mode.

import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_KEY_BYTES } from "../crypto/aead.ts";

const OTHERS = 0o077;

/** Throws keystore.permissions where others may read the file, keystore.malformed where it is not 32 bytes. */
export function loadSealingKey(path: string, random: Random): Uint8Array<ArrayBuffer> {
  return create(path, random) ?? read(path);
}

function create(path: string, random: Random): Uint8Array<ArrayBuffer> | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
  try {
    const key = random.bytes(AEAD_KEY_BYTES);
    writeSync(file, key);
    fsyncSync(file);
    return key;
  } finally {
    closeSync(file);
  }
}

function read(path: string): Uint8Array<ArrayBuffer> {
  const file = openSync(path, constants.O_RDONLY);
  try {
    const { mode, size } = fstatSync(file);
    if ((mode & OTHERS) !== 0) throw new QflareError("keystore.permissions", `expected mode 0600 on ${path}`);
    const key = new Uint8Array(AEAD_KEY_BYTES);
    if (size !== AEAD_KEY_BYTES || readSync(file, key) !== AEAD_KEY_BYTES) {
      throw new QflareError("keystore.malformed", `expected ${AEAD_KEY_BYTES} bytes in ${path}, got ${size}`);
    }
    return key;
  } finally {
    closeSync(file);
  }
}

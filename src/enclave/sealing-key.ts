// The sealing key of a simulated enclave: a file of 32 random bytes that is made at the first start. In a TEE the
// platform derives this key from the measured program; here its only protection is the file's owner and mode. The
// server opens the file and hands it over without reading it, so that the enclave needs no file system.

import { closeSync, fstatSync, readSync, writeSync } from "node:fs";
import { ownBytes } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_KEY_BYTES } from "../crypto/aead.ts";
import { NO_SPACE } from "../crypto/secret-file.ts";

/** file: opened for reading and writing, closed here. Throws keystore.malformed where it holds something else. */
export function takeSealingKey(file: number, random: Random): Uint8Array<ArrayBuffer> {
  try {
    const { size } = fstatSync(file);
    if (size === 0) return makeKey(file, random);
    if (size !== AEAD_KEY_BYTES) {
      throw new QflareError("keystore.malformed", `expected ${AEAD_KEY_BYTES} bytes in sealing.key, got ${size}`);
    }
    const key = ownBytes(AEAD_KEY_BYTES);
    if (readSync(file, key, 0, key.length, 0) !== key.length) {
      throw new QflareError("keystore.malformed", "sealing.key cannot be read whole");
    }
    return key;
  } finally {
    closeSync(file);
  }
}

function makeKey(file: number, random: Random): Uint8Array<ArrayBuffer> {
  const key = random.bytes(AEAD_KEY_BYTES);
  try {
    if (writeSync(file, key) === key.length) return key;
  } catch (cause) {
    if (!NO_SPACE.includes((cause as NodeJS.ErrnoException).code ?? "")) throw cause;
    throw new QflareError("store.full", "sealing.key", { cause });
  }
  throw new QflareError("store.full", "sealing.key");
}

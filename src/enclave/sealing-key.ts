// The sealing key. Of a simulated enclave: a file of 32 random bytes that is made at the first start, whose only
// protection is its owner and mode; the server opens it and hands it over without reading it, so that the enclave needs
// no file system. In a TEE: what the platform derives from the measured program, where it gives such a key as a file.

import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { ownBytes, utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_KEY_BYTES } from "../crypto/aead-sizes.ts";
import { expand, extract } from "../crypto/hkdf.ts";
import { NO_SPACE } from "../crypto/secret-file.ts";

const PLATFORM_LABEL = "qflare/v1 platform sealing key";
const PLATFORM_KEY_BYTES = 16;

/**
 * path: such as Gramine's /dev/attestation/keys/_sgx_mrenclave, 16 bytes that no other program is given. Throws
 * keystore.malformed for any other length.
 */
export function readPlatformKey(path: string): Uint8Array<ArrayBuffer> {
  const file = openSync(path, "r");
  const secret = ownBytes(PLATFORM_KEY_BYTES + 1);
  try {
    const length = readSync(file, secret);
    if (length !== PLATFORM_KEY_BYTES) {
      throw new QflareError("keystore.malformed", `expected ${PLATFORM_KEY_BYTES} bytes in ${path}, got ${length}`);
    }
    const root = extract(new Uint8Array(0), secret.subarray(0, length));
    const key = expand(root, utf8(PLATFORM_LABEL), AEAD_KEY_BYTES);
    wipe(root);
    return key;
  } finally {
    wipe(secret);
    closeSync(file);
  }
}

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

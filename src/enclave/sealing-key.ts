// The sealing key of a simulated enclave: a file of 32 random bytes that is made at the first start. In a TEE the
// platform derives this key from the measured program; here its only protection is the file's owner and mode.

import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import { AEAD_KEY_BYTES } from "../crypto/aead-sizes.ts";
import { readSecretFile, replaceSecretFile } from "../crypto/secret-file.ts";

/** Throws keystore.permissions where others may read the file, keystore.malformed where it is not 32 bytes. */
export function loadSealingKey(path: string, random: Random): Uint8Array<ArrayBuffer> {
  const stored = readSecretFile(path);
  if (stored === undefined) {
    const key = random.bytes(AEAD_KEY_BYTES);
    replaceSecretFile(path, key);
    return key;
  }
  if (stored.length !== AEAD_KEY_BYTES) {
    throw new QflareError("keystore.malformed", `expected ${AEAD_KEY_BYTES} bytes in ${path}, got ${stored.length}`);
  }
  return stored;
}

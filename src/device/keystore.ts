// The device's key file: its long-term keys and what it pinned at enrolment. Mode 0600; looser permissions are refused.

import { existsSync } from "node:fs";
import { wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { bytes, message, type Of, text, uint } from "../core/shape.ts";
import { kemSizes } from "../crypto/kem-sizes.ts";
import { checkSecretPlace, readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { DEVICE_ID_BYTES } from "../wire/enroll.ts";
import { identityMessage } from "../wire/identity.ts";
import { RUN_ID_BYTES } from "../wire/policy.ts";
import { DEVICE_NAME } from "../wire/token.ts";

const FRODO = kemSizes("FrodoKEM-640-AES");
const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];

const keystoreMessage = message("keystore", 65_536, {
  v: uint(1, 1),
  name: text(LIMITS.nameLengthMax, DEVICE_NAME),
  device_id: bytes(DEVICE_ID_BYTES),
  run_id: bytes(RUN_ID_BYTES),
  url: text(LIMITS.urlLengthMax),
  /** The server's identity document, whose hash stood in the token. */
  identity: bytes(1, identityMessage.bytesMax),
  kem_secret_key: bytes(FRODO.secretKey),
  kem_public_key: bytes(FRODO.publicKey),
  signature_secret_key: bytes(MLDSA.secretKey),
  signature_public_key: bytes(MLDSA.publicKey),
});

export type Keystore = Of<typeof keystoreMessage.shape>;

export function saveKeystore(path: string, keystore: Keystore): void {
  const encoded = keystoreMessage.encode(keystore);
  writeSecretFile(path, encoded);
  wipe(encoded);
}

/** Throws config.invalid where no key file can be made. */
export function checkKeystorePlace(path: string): void {
  if (existsSync(path)) throw new QflareError("config.invalid", `keystore: ${path} exists already`);
  try {
    checkSecretPlace(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new QflareError("config.invalid", `keystore: ${path} cannot be made (${code})`, { cause });
  }
}

/** undefined where there is no file. Throws keystore.permissions, keystore.malformed. */
export function loadKeystore(path: string): Keystore | undefined {
  const encoded = readSecretFile(path);
  if (encoded === undefined) return undefined;
  try {
    return keystoreMessage.decode(encoded);
  } catch (cause) {
    throw new QflareError("keystore.malformed", path, { cause });
  } finally {
    wipe(encoded);
  }
}

// The device's key file: its long-term keys and what it pinned at enrolment. Mode 0600; looser permissions are refused.

import { existsSync } from "node:fs";
import { wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { bytes, list, message, nullable, type Of, text, uint } from "../core/shape.ts";
import { kemSizes } from "../crypto/kem-sizes.ts";
import { checkSecretPlace, readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";
import { lengthsOver } from "../crypto/suite.ts";
import { DEVICE_ID_BYTES, kemPublicKey, signaturePublicKey } from "../wire/enroll.ts";
import { identityMessage } from "../wire/identity.ts";
import { RUN_ID_BYTES } from "../wire/policy.ts";
import { DEVICE_NAME } from "../wire/token.ts";

const keystoreMessage = message("keystore", 131_072, {
  v: uint(1, 1),
  name: text(LIMITS.nameLengthMax, DEVICE_NAME),
  device_id: bytes(DEVICE_ID_BYTES),
  run_id: bytes(RUN_ID_BYTES),
  url: text(LIMITS.urlLengthMax),
  /** The server's identity document, whose hash stood in the token. */
  identity: bytes(1, identityMessage.bytesMax),
  /** The identity that the server has announced as its next; null until one was seen. */
  next_identity: nullable(bytes(1, identityMessage.bytesMax)),
  /** Identities that the server had before, oldest first: receipts and checkpoints of theirs are kept. */
  former_identities: list(bytes(1, identityMessage.bytesMax), 0, LIMITS.formerIdentitiesMax),
  kem_secret_key: bytes(...lengthsOver((suite) => kemSizes(suite.static).secretKey)),
  kem_public_key: kemPublicKey,
  signature_secret_key: bytes(...lengthsOver((suite) => SIGNATURE_SIZES[suite.signature].secretKey)),
  signature_public_key: signaturePublicKey,
});

export type Keystore = Of<typeof keystoreMessage.shape>;

export function saveKeystore(path: string, keystore: Keystore): void {
  const encoded = keystoreMessage.encode(keystore);
  writeSecretFile(path, encoded);
  wipe(encoded);
}

/** What a device keeps beside its key file, by what its name ends with: of the audit log, the enclave, a re-key. */
export const BESIDE = { log: ".log", enclave: ".enclave", rekey: ".rekey" } as const;

/** Throws config.invalid where no key file can be made, or something of a device before stands beside its place. */
export function checkKeystorePlace(path: string): void {
  const taken = ["", ...Object.values(BESIDE)].map((end) => path + end).find((one) => existsSync(one));
  if (taken !== undefined) throw new QflareError("config.invalid", `keystore: ${taken} exists already`);
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

/** The keystore of a running device: one for all that use it, kept in its file. */
export class OpenKeystore {
  readonly path: string;
  #saved: Keystore;
  #tried: Partial<Keystore> = {};

  constructor(path: string, keystore: Keystore) {
    this.path = path;
    this.#saved = keystore;
  }

  get current(): Keystore {
    return { ...this.#saved, ...this.#tried };
  }

  /** In the file first, so that what is used is never lost. */
  replace(changes: Partial<Keystore>): void {
    const keystore = { ...this.#saved, ...changes };
    saveKeystore(this.path, keystore);
    this.#saved = keystore;
  }

  /** In memory alone, until another call: keys of which it is open whether the server knows them. */
  pretend(changes: Partial<Keystore>): void {
    this.#tried = changes;
  }
}

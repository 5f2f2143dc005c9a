// A witness's name and keys: one file, mode 0600, made at the first start.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { bytes, message, text, uint } from "../core/shape.ts";
import { ED25519_SIZES, ed25519Signer } from "../crypto/ed25519.ts";
import { readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { type CheckpointSigner, witnessSigner } from "../wire/checkpoint.ts";
import { isNoteName } from "../wire/note.ts";

const keyFile = message("witness key file", 1024, {
  v: uint(1, 1),
  name: text(LIMITS.noteNameLengthMax),
  ed25519_secret_key: bytes(ED25519_SIZES.secretKey),
  ml_dsa_secret_key: bytes(SIGNATURE_SIZES["ML-DSA-44"].secretKey),
});

/**
 * name: needed where there is no file yet; it is part of the keys and stays. Throws config.invalid,
 * keystore.permissions, keystore.malformed.
 */
export function loadWitnessKeys(path: string, name: string | undefined, random: Random): CheckpointSigner {
  const contents = readSecretFile(path) ?? createKeyFile(path, name, random);
  const stored = decode(path, contents);
  if (name !== undefined && name !== stored.name) {
    throw new QflareError("config.invalid", `name: ${path} is of the witness ${stored.name}`);
  }
  const pair = signature("ML-DSA-44").generateKeyPair(stored.ml_dsa_secret_key);
  const ed25519 = ed25519Signer(stored.ed25519_secret_key);
  return witnessSigner(stored.name, { ed25519, mlDsaPublicKey: pair.publicKey, mlDsaSecretKey: pair.secretKey });
}

function createKeyFile(path: string, name: string | undefined, random: Random): Uint8Array<ArrayBuffer> {
  if (name === undefined || !isNoteName(name)) {
    throw new QflareError("config.invalid", "name: expected one without spaces and plus, such as witness.example/one");
  }
  const contents = keyFile.encode({
    v: 1,
    name,
    ed25519_secret_key: random.bytes(ED25519_SIZES.secretKey),
    ml_dsa_secret_key: random.bytes(SIGNATURE_SIZES["ML-DSA-44"].secretKey),
  });
  writeSecretFile(path, contents);
  return contents;
}

function decode(path: string, contents: Uint8Array): ReturnType<typeof keyFile.decode> {
  try {
    return keyFile.decode(contents);
  } catch (cause) {
    throw new QflareError("keystore.malformed", path, { cause });
  }
}

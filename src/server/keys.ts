// The server's long-term keys: signature key, token pepper, and the TLS certificate that it made itself. One file, mode
// 0600, made at the first start.

import { join } from "node:path";
import { utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import { bytes, message, nullable, object, text, uint } from "../core/shape.ts";
import { ed25519Signer } from "../crypto/ed25519.ts";
import { expand } from "../crypto/hkdf.ts";
import { readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { type CheckpointSigner, logOrigin, logSigner } from "../wire/checkpoint.ts";
import { identityFingerprint, identityMessage } from "../wire/identity.ts";
import { LABELS } from "../wire/labels.ts";
import type { NoteKey } from "../wire/note.ts";
import { certificateHash, makeCertificate, type TlsFiles } from "./certificate.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface ServerKeys {
  readonly signatureSecretKey: Bytes;
  readonly signaturePublicKey: Bytes;
  readonly pepper: Bytes;
  /** PEM. */
  readonly tls: TlsFiles;
  /** The encoded identity document and its hash, which stands in every token. */
  readonly identity: Bytes;
  readonly fingerprint: Bytes;
}

export const KEY_FILE = "server.key";
const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];

const keyFile = message("server key file", 65_536, {
  v: uint(1, 1),
  signature_secret_key: bytes(MLDSA.secretKey),
  token_pepper: bytes(32),
  tls: nullable(object({ certificate: text(16_384), key: text(16_384) })),
});

/**
 * tls: a certificate of the operator's, PEM; without it the server makes its own and pins it through the tokens. Throws
 * keystore.permissions, keystore.malformed, config.invalid.
 */
export async function loadServerKeys(
  folder: string,
  hosts: readonly string[],
  random: Random,
  tls?: TlsFiles,
): Promise<ServerKeys> {
  const path = join(folder, KEY_FILE);
  const contents = readSecretFile(path) ?? (await createKeyFile(path, hosts, random, tls));
  const stored = decodeKeyFile(path, contents);
  const served = tls ?? stored.tls;
  if (served === null) throw new QflareError("config.invalid", "this server was set up with --tls-cert and --tls-key");
  const scheme = signature("ML-DSA-44");
  const pair = scheme.generateKeyPair(stored.signature_secret_key);
  const identity = identityMessage.encode({
    v: 1,
    signature_public_key: pair.publicKey,
    tls_certificate_sha256: tls === undefined ? certificateHash(served.certificate) : null,
  });
  return {
    signatureSecretKey: pair.secretKey,
    signaturePublicKey: pair.publicKey,
    pepper: stored.token_pepper,
    tls: served,
    identity,
    fingerprint: identityFingerprint(identity),
  };
}

/**
 * What signs the checkpoints of a run's log: the server's signature key, and an Ed25519 key derived from it, for
 * verifiers that know no other. HKDF goes one way, so who breaks the one is no nearer to the other.
 */
export function logSignerOf(
  keys: Pick<ServerKeys, "signatureSecretKey" | "signaturePublicKey">,
  runId: Uint8Array,
): CheckpointSigner {
  const seed = expand(keys.signatureSecretKey, utf8(LABELS.logKey), 32);
  const ed25519 = ed25519Signer(seed);
  wipe(seed);
  const { signatureSecretKey: mlDsaSecretKey, signaturePublicKey: mlDsaPublicKey } = keys;
  return logSigner(logOrigin(runId), { ed25519, mlDsaPublicKey, mlDsaSecretKey });
}

/** For verifying what a server signed, from its own folder. Throws config.invalid where there is no key file. */
export function readServerPublicKey(folder: string): Bytes {
  return readSigning(folder).signaturePublicKey;
}

/** Verifier keys of the log of a run, from its server's folder. Throws as readServerPublicKey does. */
export function readLogKeys(folder: string, runId: Uint8Array): readonly NoteKey[] {
  return logSignerOf(readSigning(folder), runId).keys;
}

function readSigning(folder: string): Pick<ServerKeys, "signatureSecretKey" | "signaturePublicKey"> {
  const path = join(folder, KEY_FILE);
  const contents = readSecretFile(path);
  if (contents === undefined) throw new QflareError("config.invalid", `data-dir: there is no ${path}`);
  const { signature_secret_key } = decodeKeyFile(path, contents);
  const { publicKey, secretKey } = signature("ML-DSA-44").generateKeyPair(signature_secret_key);
  return { signatureSecretKey: secretKey, signaturePublicKey: publicKey };
}

async function createKeyFile(path: string, hosts: readonly string[], random: Random, tls?: TlsFiles): Promise<Bytes> {
  const contents = keyFile.encode({
    v: 1,
    signature_secret_key: random.bytes(MLDSA.secretKey),
    token_pepper: random.bytes(32),
    tls: tls === undefined ? await makeCertificate(hosts) : null,
  });
  writeSecretFile(path, contents);
  return contents;
}

function decodeKeyFile(path: string, contents: Bytes): ReturnType<typeof keyFile.decode> {
  try {
    return keyFile.decode(contents);
  } catch (cause) {
    throw new QflareError("keystore.malformed", path, { cause });
  }
}

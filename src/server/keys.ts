// The server's long-term keys: signature key, token pepper, and the TLS certificate that it made itself. One file, mode
// 0600, made at the first start.

import "reflect-metadata";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import { bytes, message, nullable, object, text, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { identityFingerprint, identityMessage } from "../wire/identity.ts";
import { makeCertificate } from "./certificate.ts";
import { writeSecretFile } from "./store/secret-file.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

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

const KEY_FILE = "server.key";
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
export async function loadServerKeys(folder: string, hosts: readonly string[], random: Random, tls?: TlsFiles): Promise<ServerKeys> {
  const path = join(folder, KEY_FILE);
  if (!existsSync(path)) {
    const own = tls === undefined ? await makeCertificate(hosts) : null;
    const secret = random.bytes(MLDSA.secretKey);
    writeSecretFile(path, keyFile.encode({ v: 1, signature_secret_key: secret, token_pepper: random.bytes(32), tls: own }));
  }
  const stored = readKeyFile(path);
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

function readKeyFile(path: string): ReturnType<typeof keyFile.decode> {
  if ((statSync(path).mode & 0o077) !== 0) throw new QflareError("keystore.permissions", `expected mode 0600 on ${path}`);
  try {
    return keyFile.decode(readFileSync(path));
  } catch (cause) {
    throw new QflareError("keystore.malformed", path, { cause });
  }
}

/** SHA-256 of the certificate in DER. */
function certificateHash(pem: string): Bytes {
  try {
    return sha256(new X509Certificate(pem).raw);
  } catch (cause) {
    throw new QflareError("config.invalid", "the TLS certificate cannot be read", { cause });
  }
}

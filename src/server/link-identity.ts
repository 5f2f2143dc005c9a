// What server and remote enclave know each other by: a certificate of their own on each side, made at the first start
// and pinned by its SHA-256 on the other. The connection is TLS 1.3 with a post-quantum key exchange and nothing else.

import { join } from "node:path";
import type { PeerCertificate, SecureContextOptions, TLSSocket } from "node:tls";
import { equal, fromHex, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { message } from "../core/shape.ts";
import { type CertifiedKey, certificateHash, certifiedKeyFields } from "../crypto/certificate.ts";
import { sha256 } from "../crypto/hash.ts";
import { readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { makeCertificate } from "./certificate.ts";
import { makeDataFolder } from "./data-folder.ts";

const LINK_FILE = "enclave-link.key";
const PIN_BYTES = 32;

const linkFile = message("enclave link key", 40_960, certifiedKeyFields);

export interface LinkIdentity {
  readonly tls: CertifiedKey;
  /** SHA-256 of the certificate in DER, hexadecimal: what the other side is told. */
  readonly pin: string;
}

/** folder: made if it is not there. Throws as makeDataFolder and readSecretFile do. */
export async function loadLinkIdentity(folder: string): Promise<LinkIdentity> {
  makeDataFolder(folder);
  const path = join(folder, LINK_FILE);
  const stored = readSecretFile(path);
  const tls = stored === undefined ? await makeCertificate(["localhost"]) : linkFile.decode(stored);
  if (stored === undefined) writeSecretFile(path, linkFile.encode({ ...tls }));
  return { tls, pin: toHex(certificateHash(tls.certificate)) };
}

/** Of both ends alike. */
export function linkOptions({ tls }: LinkIdentity): SecureContextOptions {
  const { certificate: cert, key } = tls;
  return { cert, key, minVersion: "TLSv1.3", maxVersion: "TLSv1.3", ecdhCurve: "X25519MLKEM768" };
}

/** Throws config.invalid for what is no pin. */
export function readPin(text: string): Uint8Array<ArrayBuffer> {
  const pin = fromHex(text);
  if (pin?.length === PIN_BYTES) return pin;
  throw new QflareError("config.invalid", `pin: expected ${PIN_BYTES} bytes in hexadecimal, got ${text.slice(0, 80)}`);
}

/** Whether the other end has shown the pinned certificate, whose key TLS has made it use. */
export function isPinned(socket: TLSSocket, pin: Uint8Array): boolean {
  const { raw } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  return raw !== undefined && equal(sha256(raw), pin);
}

/** For an event of the log. */
export function shortPin(socket: TLSSocket): string {
  const { raw } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  return raw === undefined ? "none" : toHex(sha256(raw)).slice(0, 16);
}

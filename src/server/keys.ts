// The server's long-term keys: the signature keys of its identity and of the next one, token pepper, and the TLS
// certificate that it made itself. One file, mode 0600, made at the first start.

import { join } from "node:path";
import { utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { bytes, list, message, nullable, type Of, object, secretBytes, uint } from "../core/shape.ts";
import { type CertifiedKey, certificateHash, certifiedKeyFields } from "../crypto/certificate.ts";
import { ed25519Signer } from "../crypto/ed25519.ts";
import { expand } from "../crypto/hkdf.ts";
import { readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { SIGNATURE_SIZES, type SignatureName, signature } from "../crypto/signature.ts";
import { type CheckpointSigner, logOrigin, logSigner } from "../wire/checkpoint.ts";
import { identityFingerprint, identityMessage } from "../wire/identity.ts";
import { CONTEXTS, LABELS } from "../wire/labels.ts";
import { type NoteKey, noteKey } from "../wire/note.ts";
import { rotationAnnouncement, rotationMessage } from "../wire/rotation.ts";
import { makeCertificate } from "./certificate.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface KeyPair {
  readonly publicKey: Bytes;
  readonly secretKey: Bytes;
}

/** Of the identity in force: what is read here may be another after a rotation. */
export interface ServerKeys {
  /** By which the server signs for devices whose keys are of this scheme. */
  pairOf(scheme: SignatureName): KeyPair;
  /** Of ML-DSA-44: signs the audit log too. */
  readonly signatureSecretKey: Bytes;
  readonly signaturePublicKey: Bytes;
  readonly pepper: Bytes;
  /** Its key is zeros as soon as the gateway has taken it. */
  readonly tls: CertifiedKey;
  /** The encoded identity document and its hash, which stands in every new token. */
  readonly identity: Bytes;
  readonly fingerprint: Bytes;
  /** Encoded announcements, oldest first; the last one is of the next identity. */
  readonly announcements: readonly Bytes[];
}

export const KEY_FILE = "server.key";
const SEED_BYTES = 32;
const FORMER_KEYS_MAX = 256;

const SEEDS = object({ signature: secretBytes(SEED_BYTES), longterm: secretBytes(SEED_BYTES) });

/** former_public_keys: ML-DSA-44, oldest first; by them the older part of the audit log is verified. */
const keyFile = message("server key file", 524_288, {
  v: uint(2, 2),
  current: SEEDS,
  next: SEEDS,
  announcements: list(bytes(1, rotationAnnouncement.bytesMax), 0, LIMITS.identityRotationsMax),
  former_public_keys: list(bytes(SIGNATURE_SIZES["ML-DSA-44"].publicKey), 0, FORMER_KEYS_MAX),
  token_pepper: secretBytes(32),
  tls: nullable(object(certifiedKeyFields)),
});

export type StoredServerKeys = Of<typeof keyFile.shape>;

export function freshServerKeys(random: Random, tls: CertifiedKey | null): StoredServerKeys {
  const pepper = random.bytes(32);
  const seeds = { current: freshSeeds(random), next: freshSeeds(random) };
  return { v: 2, ...seeds, announcements: [], former_public_keys: [], token_pepper: pepper, tls };
}

function freshSeeds(random: Random): Of<typeof SEEDS> {
  return { signature: random.bytes(SEED_BYTES), longterm: random.bytes(SEED_BYTES) };
}

/** Whoever read it from the file wipes it. */
function wipeStored({ current, next, token_pepper, tls }: StoredServerKeys): void {
  wipe(token_pepper);
  for (const { signature: seed, longterm } of [current, next]) wipe(seed, longterm);
  if (tls !== null) wipe(tls.key);
}

/** One identity with its secret keys. */
interface Holder {
  readonly pairs: { readonly "ML-DSA-44": KeyPair; readonly "ML-DSA-65": KeyPair };
  readonly identity: Bytes;
  readonly fingerprint: Bytes;
}

export class ServerKeyring implements ServerKeys {
  readonly tls: CertifiedKey;
  readonly #certificateSha256: Bytes | null;
  /** Its seeds are owned here, and those of an identity wiped with its keys. */
  #stored: Omit<StoredServerKeys, "tls">;
  #current: Holder;
  #next: Holder;
  #isWiped = false;

  /** certificateSha256: of the certificate that tokens pin; null where public authorities vouch for it. */
  constructor({ tls: _, ...stored }: StoredServerKeys, tls: CertifiedKey, certificateSha256: Bytes | null) {
    this.tls = tls;
    this.#certificateSha256 = certificateSha256;
    this.#stored = stored;
    this.#current = this.#holderOf(stored.current);
    this.#next = this.#holderOf(stored.next);
  }

  #holderOf(seeds: Of<typeof SEEDS>): Holder {
    const pairs = {
      "ML-DSA-44": signature("ML-DSA-44").generateKeyPair(seeds.signature),
      "ML-DSA-65": signature("ML-DSA-65").generateKeyPair(seeds.longterm),
    };
    const identity = identityMessage.encode({
      v: 1,
      signature_public_key: pairs["ML-DSA-44"].publicKey,
      longterm_public_key: pairs["ML-DSA-65"].publicKey,
      tls_certificate_sha256: this.#certificateSha256,
    });
    return { pairs, identity, fingerprint: identityFingerprint(identity) };
  }

  pairOf(scheme: SignatureName): KeyPair {
    return scheme === "ML-DSA-65" ? this.#current.pairs["ML-DSA-65"] : this.#current.pairs["ML-DSA-44"];
  }

  get signatureSecretKey(): Bytes {
    return this.#current.pairs["ML-DSA-44"].secretKey;
  }

  get signaturePublicKey(): Bytes {
    return this.#current.pairs["ML-DSA-44"].publicKey;
  }

  get pepper(): Bytes {
    return this.#stored.token_pepper;
  }

  get identity(): Bytes {
    return this.#current.identity;
  }

  get fingerprint(): Bytes {
    return this.#current.fingerprint;
  }

  get nextFingerprint(): Bytes {
    return this.#next.fingerprint;
  }

  /** By which the audit log is signed after the next rotation. */
  get nextPair(): KeyPair {
    return this.#next.pairs["ML-DSA-44"];
  }

  get announcements(): readonly Bytes[] {
    return [...this.#stored.announcements, this.#announcement()];
  }

  #announcement(): Bytes {
    const { pairs, fingerprint } = this.#current;
    const encoded = rotationMessage.encode({ v: 1, fingerprint, next: this.#next.identity });
    return rotationAnnouncement.encode({
      message: encoded,
      signature: signature("ML-DSA-44").sign(pairs["ML-DSA-44"].secretKey, encoded, CONTEXTS.rotation),
      longterm_signature: signature("ML-DSA-65").sign(pairs["ML-DSA-65"].secretKey, encoded, CONTEXTS.rotation),
    });
  }

  /**
   * What is to be stored for the next identity to come into force. tls: as it is stored. Throws config.invalid after
   * too many rotations.
   */
  rotated(random: Random, tls: CertifiedKey | null): StoredServerKeys {
    if (this.#isWiped) throw new TypeError("Cannot rotate: the keys are wiped");
    const { next, former_public_keys } = this.#stored;
    if (former_public_keys.length >= FORMER_KEYS_MAX) {
      throw new QflareError("config.invalid", `expected at most ${FORMER_KEYS_MAX} rotations in a run`);
    }
    return {
      ...this.#stored,
      current: next,
      next: freshSeeds(random),
      announcements: this.announcements.slice(-LIMITS.identityRotationsMax).map((one) => new Uint8Array(one)),
      former_public_keys: [...former_public_keys, this.signaturePublicKey],
      tls,
    };
  }

  /** From now on these keys are in force; those before are wiped. */
  use({ tls: _, ...stored }: StoredServerKeys): void {
    wipeHolder(this.#current, this.#stored.current);
    this.#stored = stored;
    this.#current = this.#next;
    this.#next = this.#holderOf(stored.next);
  }

  /** The server has stopped. */
  wipe(): void {
    this.#isWiped = true;
    wipeHolder(this.#current, this.#stored.current);
    wipeHolder(this.#next, this.#stored.next);
    wipe(this.#stored.token_pepper, this.tls.key);
  }
}

function wipeHolder({ pairs }: Holder, { signature: seed, longterm }: Of<typeof SEEDS>): void {
  wipe(pairs["ML-DSA-44"].secretKey, pairs["ML-DSA-65"].secretKey, seed, longterm);
}

/**
 * tls: a certificate of the operator's, PEM, whose key is the server's to wipe; without it the server makes its own and
 * pins it through the tokens. Throws keystore.permissions, keystore.malformed, config.invalid.
 */
export async function loadServerKeys(
  folder: string,
  hosts: readonly string[],
  random: Random,
  tls?: CertifiedKey,
): Promise<ServerKeyring> {
  const stored = readServerKeys(folder) ?? (await createKeyFile(folder, hosts, random, tls));
  const served = tls ?? stored.tls;
  if (served === null) throw new QflareError("config.invalid", "this server was set up with --tls-cert and --tls-key");
  if (stored.tls !== null && tls !== undefined) wipe(stored.tls.key);
  return new ServerKeyring(stored, served, tls === undefined ? certificateHash(served.certificate) : null);
}

/**
 * What signs the checkpoints of a run's log: the server's signature key, and an Ed25519 key derived from it, for
 * verifiers that know no other. HKDF goes one way, so who breaks the one is no nearer to the other.
 */
export function logSignerOf({ secretKey, publicKey }: KeyPair, runId: Uint8Array): CheckpointSigner {
  const seed = expand(secretKey, utf8(LABELS.logKey), 32);
  const ed25519 = ed25519Signer(seed);
  wipe(seed);
  return logSigner(logOrigin(runId), { ed25519, mlDsaPublicKey: publicKey, mlDsaSecretKey: secretKey });
}

/**
 * For verifying what a server signed, from its own folder: its ML-DSA-44 keys, first those that were in force, oldest
 * first, then the one in force, then the one that is announced. Throws config.invalid where there is no key file.
 */
export function readServerPublicKeys(folder: string): Bytes[] {
  const stored = requireServerKeys(folder);
  const [current, next] = [stored.current, stored.next].map((seeds) => withPair(seeds, ({ publicKey }) => publicKey));
  wipeStored(stored);
  return [...stored.former_public_keys, current!, next!];
}

export interface LogKeys {
  readonly inForce: readonly NoteKey[];
  /** Of the identity that is announced. */
  readonly next: readonly NoteKey[];
  /** ML-DSA-44 alone, oldest first. */
  readonly former: readonly NoteKey[];
}

/** Verifier keys of the log of a run, from its server's folder. Throws as readServerPublicKeys does. */
export function readLogKeys(folder: string, runId: Uint8Array): LogKeys {
  const stored = requireServerKeys(folder);
  const keysOf = (pair: KeyPair): readonly NoteKey[] => logSignerOf(pair, runId).keys;
  const [inForce, next] = [stored.current, stored.next].map((seeds) => withPair(seeds, keysOf));
  wipeStored(stored);
  const former = stored.former_public_keys.map((key) => noteKey(logOrigin(runId), "ml-dsa-44", key));
  return { inForce: inForce!, next: next!, former };
}

/** The certificate that the key file holds, for it to be written again; its key is the caller's to wipe. */
export function readOwnCertificate(folder: string): CertifiedKey | null {
  const { tls, ...stored } = requireServerKeys(folder);
  wipeStored({ ...stored, tls: null });
  return tls;
}

function withPair<T>(seeds: Of<typeof SEEDS>, use: (pair: KeyPair) => T): T {
  const pair = signature("ML-DSA-44").generateKeyPair(seeds.signature);
  const result = use(pair);
  wipe(pair.secretKey);
  return result;
}

function requireServerKeys(folder: string): StoredServerKeys {
  const stored = readServerKeys(folder);
  if (stored === undefined) throw new QflareError("config.invalid", `data-dir: there is no ${join(folder, KEY_FILE)}`);
  return stored;
}

async function createKeyFile(
  folder: string,
  hosts: readonly string[],
  random: Random,
  tls?: CertifiedKey,
): Promise<StoredServerKeys> {
  const stored = freshServerKeys(random, tls === undefined ? await makeCertificate(hosts) : null);
  writeServerKeys(folder, stored);
  return stored;
}

/** Whole or not at all: a crash leaves the keys before or the keys after. */
export function writeServerKeys(folder: string, stored: StoredServerKeys): void {
  const contents = keyFile.encode(stored);
  writeSecretFile(join(folder, KEY_FILE), contents);
  contents.fill(0);
}

function readServerKeys(folder: string): StoredServerKeys | undefined {
  const path = join(folder, KEY_FILE);
  const contents = readSecretFile(path);
  if (contents === undefined) return undefined;
  try {
    return keyFile.decode(contents);
  } catch (cause) {
    throw new QflareError("keystore.malformed", path, { cause });
  } finally {
    contents.fill(0);
  }
}

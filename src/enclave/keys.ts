// Keys of a run and their sealed form. The sealed form may lie anywhere; the sealing key stays with the enclave (in a
// TEE the platform's, in simulation a file that no other process needs).

import { concat, lengthPrefixed, readU32be, takeOver, utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { bytes, message, nullable, type Of, object, oneOf, uint } from "../core/shape.ts";
import { openAead, sealAead } from "../crypto/aead.ts";
import { AEAD_NONCE_BYTES } from "../crypto/aead-sizes.ts";
import { signature } from "../crypto/signature.ts";
import { exchangeKem, SUITE_NAMES, SUITES } from "../crypto/suite.ts";
import { LABELS } from "../wire/labels.ts";
import { RUN_ID_BYTES } from "../wire/policy.ts";

/** What of the keys may be read. The secret parts follow as they are: a CBOR writer keeps copies of what it wrote. */
const keysMessage = message("enclave keys", 49_152, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  policy_hash: bytes(32),
  suite: oneOf(...SUITE_NAMES),
  signature_public_key: bytes(1, 4096),
  kem_public_key: bytes(1, 32_768),
  epoch: uint(1),
  /** The first that began in this epoch. */
  first_round: uint(1, LIMITS.roundsMax),
  not_before: uint(),
  not_after: uint(),
  /** The key of the epoch before, while this round may hold updates that are sealed to it. */
  former: nullable(object({ kem_public_key: bytes(1, 32_768), round: uint(1, LIMITS.roundsMax) })),
});

/**
 * keys_digest: of the sealed keys that go with it. latest: the last model that this enclave signed; another one is
 * refused as a base. open_round: begun and not aggregated.
 */
const progressMessage = message("enclave progress", 384, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  keys_digest: bytes(32),
  audit_sequence: uint(),
  audit_head: bytes(32),
  latest: nullable(object({ round: uint(), model_digest: bytes(32) })),
  open_round: nullable(uint(1, LIMITS.roundsMax)),
});

type PublicKeys = Of<typeof keysMessage.shape>;
type Bytes = Uint8Array<ArrayBuffer>;

export interface EnclaveKeys extends PublicKeys {
  readonly signature_secret_key: Bytes;
  readonly kem_secret_key: Bytes;
  /** null where former is. */
  readonly former_kem_secret_key: Bytes | null;
}

export type EnclaveProgress = Of<typeof progressMessage.shape>;

/** What is decided where an epoch begins. */
export type Epoch = Pick<EnclaveKeys, "epoch" | "first_round" | "not_before" | "not_after">;

export async function generateKeys(
  fields: Pick<EnclaveKeys, "run_id" | "policy_hash" | "suite"> & Epoch,
): Promise<EnclaveKeys> {
  const identity = signature("ML-DSA-44").generateKeyPair();
  const epoch = await exchangeKem(SUITES[fields.suite].update).generateKeyPair();
  return {
    v: 1,
    ...fields,
    signature_secret_key: identity.secretKey,
    signature_public_key: identity.publicKey,
    kem_secret_key: epoch.secretKey,
    kem_public_key: epoch.publicKey,
    former: null,
    former_kem_secret_key: null,
  };
}

/**
 * The keys of the next epoch, under the same identity. openRound: may hold updates that are sealed to the key before,
 * which is wiped where there is none.
 */
export async function rotateKeys(keys: EnclaveKeys, epoch: Epoch, openRound: number | null): Promise<EnclaveKeys> {
  const { publicKey, secretKey } = await exchangeKem(SUITES[keys.suite].update).generateKeyPair();
  const { kem_public_key, kem_secret_key } = keys;
  if (openRound === null) wipe(kem_secret_key);
  return {
    ...keys,
    ...epoch,
    kem_public_key: publicKey,
    kem_secret_key: secretKey,
    former: openRound === null ? null : { kem_public_key, round: openRound },
    former_kem_secret_key: openRound === null ? null : kem_secret_key,
  };
}

/** Wipes the key before. */
export function forgetFormer(keys: EnclaveKeys): EnclaveKeys {
  if (keys.former_kem_secret_key !== null) wipe(keys.former_kem_secret_key);
  return { ...keys, former: null, former_kem_secret_key: null };
}

/** The keys are of no use from now on. */
export function wipeKeys(keys: EnclaveKeys): void {
  wipe(keys.signature_secret_key, keys.kem_secret_key, keys.former_kem_secret_key ?? new Uint8Array(0));
}

/** Seals under the enclave's own key. Holds that key: nothing else needs it. */
export class Vault {
  readonly #sealingKey: Uint8Array;
  readonly #random: Random;

  /** sealingKey: 32 bytes, the vault's from now on. */
  constructor(sealingKey: Uint8Array, random: Random) {
    this.#sealingKey = sealingKey;
    this.#random = random;
  }

  /** LP(public part) LP(signature secret key) LP(KEM secret key) [LP(former KEM secret key)], sealed. */
  sealKeys({ signature_secret_key, kem_secret_key, former_kem_secret_key, ...open }: EnclaveKeys): Bytes {
    const secrets = [
      signature_secret_key,
      kem_secret_key,
      ...(former_kem_secret_key === null ? [] : [former_kem_secret_key]),
    ];
    const plaintext = lengthPrefixed(keysMessage.encode(open), ...secrets);
    return this.#seal(LABELS.enclaveKeys, plaintext);
  }

  sealProgress(progress: EnclaveProgress): Uint8Array<ArrayBuffer> {
    return this.#seal(LABELS.enclaveProgress, progressMessage.encode(progress));
  }

  /** Throws enclave.state where it was sealed under another key, altered, or is something else. */
  openKeys(sealed: Uint8Array): EnclaveKeys {
    return this.#open(LABELS.enclaveKeys, sealed, readKeys);
  }

  openProgress(sealed: Uint8Array): EnclaveProgress {
    return this.#open(LABELS.enclaveProgress, sealed, progressMessage.decode);
  }

  /** Nonce, then AES-256-GCM. Random nonces: far below 2^32 seals happen under one key. */
  #seal(label: string, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
    const nonce = this.#random.bytes(AEAD_NONCE_BYTES);
    const sealed = concat(nonce, sealAead(this.#sealingKey, nonce, utf8(label), plaintext));
    wipe(plaintext);
    return sealed;
  }

  #open<T>(label: string, sealed: Uint8Array, decode: (plaintext: Uint8Array) => T): T {
    const nonce = sealed.subarray(0, AEAD_NONCE_BYTES);
    const whole = nonce.length === AEAD_NONCE_BYTES;
    const plaintext = whole
      ? openAead(this.#sealingKey, nonce, utf8(label), sealed.subarray(AEAD_NONCE_BYTES))
      : undefined;
    if (plaintext === undefined) {
      throw new QflareError("enclave.state", "it is damaged or the sealing key is another one");
    }
    try {
      return decode(plaintext);
    } finally {
      wipe(plaintext);
    }
  }
}

/** The seal holds, so this enclave wrote it: the lengths are its own. */
function readKeys(plaintext: Uint8Array): EnclaveKeys {
  let rest = plaintext;
  const next = (): Bytes => {
    const end = 4 + readU32be(rest);
    const part = takeOver(rest.subarray(4, end));
    rest = rest.subarray(end);
    return part;
  };
  const open = keysMessage.decode(next());
  const secrets = { signature_secret_key: next(), kem_secret_key: next() };
  return { ...open, ...secrets, former_kem_secret_key: open.former === null ? null : next() };
}

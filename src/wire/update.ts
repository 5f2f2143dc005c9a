// An update: the signed manifest, and the blob that only the attested enclave opens.
//
//   blob = KEM ciphertext to the enclave's epoch key | chunked seal under the encapsulated secret
//   context of the seal = LP of: label, run, round, device, base model, policy hash, epoch key hash
//
// The manifest names the blob by its digest and is signed by the device: evidence that can be stored, and that neither
// gateway nor enclave can move to another round, model or device.

import { concat, u64be, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { bytes, message, type Of, oneOf, uint } from "../core/shape.ts";
import { open, openPieces, type Room, seal } from "../crypto/chunked-seal.ts";
import { sha256 } from "../crypto/hash.ts";
import { BLOB_DIGEST_BYTES } from "../crypto/merkle.ts";
import { sealedLength } from "../crypto/seal-format.ts";
import { type ExchangeKem, exchangeKem, exchangeSizes, SUITES, type SuiteName } from "../crypto/suite.ts";
import { anySignature, DEVICE_ID_BYTES } from "./enroll.ts";
import { logSize } from "./log-view.ts";
import { RUN_ID_BYTES } from "./policy.ts";
import { gather, UPDATE_CONTEXT } from "./transcript.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** sequence: grows with every update that a device signs. examples: claimed, so capped before it weighs anything. */
export const manifestMessage = message("manifest", 1024, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  round: uint(1, LIMITS.roundsMax),
  device_id: bytes(DEVICE_ID_BYTES),
  base_digest: bytes(BLOB_DIGEST_BYTES),
  policy_hash: bytes(32),
  enclave_key_hash: bytes(32),
  blob_digest: bytes(BLOB_DIGEST_BYTES),
  blob_length: uint(1, LIMITS.updateBytesMax),
  encoding: oneOf("f32"),
  examples: uint(1),
  sequence: uint(1),
});

export type Manifest = Of<typeof manifestMessage.shape>;

/** What stands in the record of POST /api/submit_model; the blob follows it in the body. */
export const submitMessage = message("submit", 8192, {
  manifest: bytes(1, manifestMessage.bytesMax),
  signature: anySignature,
  log_size: logSize,
});

/** Fields that the sealed bytes are bound to; a manifest has them all. */
export type UpdatePlace = Pick<
  Manifest,
  "run_id" | "round" | "device_id" | "base_digest" | "policy_hash" | "enclave_key_hash"
>;

function updateContext(place: UpdatePlace): Bytes {
  return gather(UPDATE_CONTEXT, { ...place, round: u64be(place.round) });
}

export function epochKeyHash(kemPublicKey: Uint8Array): Bytes {
  return sha256(kemPublicKey);
}

/** Length in bytes of the blob that carries so many 32-bit parameters. */
export function updateBlobLength(suite: SuiteName, parameters: number): number {
  return exchangeSizes(SUITES[suite].update).ciphertext + sealedLength(4 * parameters);
}

export async function sealUpdate(
  suite: SuiteName,
  enclavePublicKey: Uint8Array,
  place: UpdatePlace,
  delta: Uint8Array,
  random: Random,
): Promise<Bytes> {
  const { ciphertext, sharedSecret } = await exchangeKem(SUITES[suite].update).encapsulate(enclavePublicKey);
  const sealed = seal(sharedSecret, updateContext(place), delta, random);
  wipe(sharedSecret);
  return concat(ciphertext, sealed);
}

/** undefined where the blob was not sealed to this key for this place. room: as for open. */
export async function openUpdate(
  suite: SuiteName,
  enclaveSecretKey: Uint8Array,
  place: UpdatePlace,
  blob: Uint8Array,
  room?: Room,
): Promise<Bytes | undefined> {
  return withSecret(suite, enclaveSecretKey, blob, (secret, sealed) =>
    open(secret, updateContext(place), sealed, room),
  );
}

/**
 * What use makes of the opened pieces, which it may go through more than once while it runs and which are overwritten
 * behind it. undefined, as from openUpdate, also where that shows at a later piece.
 */
export async function openUpdatePieces<T>(
  suite: SuiteName,
  enclaveSecretKey: Uint8Array,
  place: UpdatePlace,
  blob: Uint8Array,
  use: (pieces: () => Iterable<Uint8Array>) => T,
): Promise<T | undefined> {
  try {
    return await withSecret(suite, enclaveSecretKey, blob, (secret, sealed) =>
      use(() => openPieces(secret, updateContext(place), sealed)),
    );
  } catch (error) {
    if (error instanceof QflareError && error.code === "seal.broken") return undefined;
    throw error;
  }
}

async function withSecret<T>(
  suite: SuiteName,
  enclaveSecretKey: Uint8Array,
  blob: Uint8Array,
  use: (secret: Uint8Array, sealed: Uint8Array) => T,
): Promise<T | undefined> {
  const kem = exchangeKem(SUITES[suite].update);
  if (blob.length < kem.sizes.ciphertext) return undefined;
  const secret = await decapsulate(kem, enclaveSecretKey, blob.subarray(0, kem.sizes.ciphertext));
  if (secret === undefined) return undefined;
  try {
    return use(secret, blob.subarray(kem.sizes.ciphertext));
  } finally {
    wipe(secret);
  }
}

/** undefined for an X25519 part of small order, which no sealing gives: a blob that does not open, like any other. */
async function decapsulate(
  kem: ExchangeKem,
  secretKey: Uint8Array,
  ciphertext: Uint8Array,
): Promise<Bytes | undefined> {
  try {
    return await kem.decapsulate(secretKey, ciphertext);
  } catch (error) {
    if (error instanceof QflareError && error.code === "message.malformed") return undefined;
    throw error;
  }
}

// Re-key from the device's side. The new keys and the signed request lie beside the key file until the server has
// answered: a lost answer, or a device that is killed, repeats the same request.

import { existsSync, rmSync } from "node:fs";
import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { bytes, message, type Of, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { kemSizes } from "../crypto/kem-sizes.ts";
import { readSecretFile, writeSecretFile } from "../crypto/secret-file.ts";
import { SIGNATURE_SIZES, schemeOfKey } from "../crypto/signature.ts";
import { lengthsOver, type Suite } from "../crypto/suite.ts";
import { deviceId, enrollDigest, kemPublicKey, signaturePublicKey } from "../wire/enroll.ts";
import { identityMessage, serverKeyOf } from "../wire/identity.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { rekeyAnswer, rekeyedMessage, rekeyMessage, rekeyRequest } from "../wire/rekey.ts";
import type { Connection } from "./connection.ts";
import { freshKeys, namedKeys } from "./enroll.ts";
import { BESIDE, type Keystore, type OpenKeystore } from "./keystore.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const pendingMessage = message("pending keys", 131_072, {
  v: uint(1, 1),
  kem_secret_key: bytes(...lengthsOver((suite) => kemSizes(suite.static).secretKey)),
  kem_public_key: kemPublicKey,
  signature_secret_key: bytes(...lengthsOver((suite) => SIGNATURE_SIZES[suite.signature].secretKey)),
  signature_public_key: signaturePublicKey,
  request: bytes(1, rekeyRequest.bytesMax),
});

type Pending = Of<typeof pendingMessage.shape>;

function pendingPath({ path }: OpenKeystore): string {
  return path + BESIDE.rekey;
}

/** Whether a re-key has begun whose end is not known. */
export function hasPendingRekey(keystore: OpenKeystore): boolean {
  return existsSync(pendingPath(keystore));
}

/**
 * Ends with the new keys in the key file, or throws and leaves the old ones there. suite: of the new keys, unless
 * a re-key has begun before. Throws rekey.refused, server.identity, and what a call throws.
 */
export async function rekeyDevice(connection: Connection, keystore: OpenKeystore, suite: Suite): Promise<void> {
  const pending = readPending(keystore) ?? (await begin(keystore, suite));
  const { kem_secret_key, kem_public_key, signature_secret_key, signature_public_key, request } = pending;
  const id = deviceId(sha256(kem_public_key), signature_public_key);
  const changes = { device_id: id, kem_secret_key, kem_public_key, signature_secret_key, signature_public_key };
  try {
    const answer = await ask(connection, keystore, request, changes);
    checkAnswer(answer, pending, id, keystore.current);
    keystore.replace(changes);
    rmSync(pendingPath(keystore));
  } catch (error) {
    // Refused for good: the next try makes keys anew.
    if (error instanceof QflareError && error.code === "rekey.refused") rmSync(pendingPath(keystore));
    throw error;
  } finally {
    keystore.pretend({});
    connection.forget();
  }
}

/** Under the old keys; where the server does not know those any more, under the new ones. */
async function ask(
  connection: Connection,
  keystore: OpenKeystore,
  request: Bytes,
  changes: Partial<Keystore>,
): Promise<Bytes> {
  try {
    return await connection.ask("POST", "/api/rekey", request, rekeyAnswer.bytesMax);
  } catch (error) {
    if (!(error instanceof QflareError) || error.code !== "session.refused") throw error;
    keystore.pretend(changes);
    connection.forget();
    return await connection.ask("POST", "/api/rekey", request, rekeyAnswer.bytesMax);
  }
}

async function begin(keystore: OpenKeystore, suite: Suite): Promise<Pending> {
  const { run_id, device_id, signature_secret_key, signature_public_key } = keystore.current;
  const fresh = await freshKeys(suite);
  const encoded = rekeyMessage.encode({ v: 1, run_id, device_id, ...namedKeys(fresh) });
  const sign = (publicKey: Bytes, secretKey: Bytes, context: string): Bytes =>
    schemeOfKey(publicKey)!.sign(secretKey, encoded, context);
  const request = rekeyRequest.encode({
    message: encoded,
    old_signature: sign(signature_public_key, signature_secret_key, CONTEXTS.rekeyOld),
    new_signature: sign(fresh.signature_public_key, fresh.signature_secret_key, CONTEXTS.rekeyNew),
  });
  const pending: Pending = { v: 1, ...fresh, request };
  writeSecretFile(pendingPath(keystore), pendingMessage.encode(pending));
  return pending;
}

function readPending(keystore: OpenKeystore): Pending | undefined {
  const path = pendingPath(keystore);
  const encoded = readSecretFile(path);
  if (encoded === undefined) return undefined;
  try {
    return pendingMessage.decode(encoded);
  } catch (cause) {
    throw new QflareError("keystore.malformed", path, { cause });
  } finally {
    encoded.fill(0);
  }
}

/** Throws server.identity unless the pinned server signed for this request and these keys. */
function checkAnswer(encoded: Bytes, { signature_public_key, request }: Pending, id: Bytes, pinned: Keystore): void {
  const answer = rekeyAnswer.decode(encoded);
  const rekeyed = rekeyedMessage.decode(answer.message);
  const scheme = schemeOfKey(signature_public_key)!;
  const serverKey = serverKeyOf(identityMessage.decode(pinned.identity), scheme.name);
  const isSigned = scheme.verify(serverKey, answer.message, answer.signature, CONTEXTS.rekeyed);
  const isOurs = equal(rekeyed.device_id, id) && equal(rekeyed.run_id, pinned.run_id);
  if (!isSigned || !isOurs || !equal(rekeyed.request_digest, enrollDigest(request))) {
    throw new QflareError("server.identity", "its answer to the re-key is not signed for this request");
  }
}

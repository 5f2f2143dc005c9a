// Enrolment from the device's side: the server's identity first, then fresh keys under the token.

import { concat, equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { kem } from "../crypto/kem-table.ts";
import { signature } from "../crypto/signature.ts";
import {
  deviceId,
  enrollAnswer,
  enrollDigest,
  enrolledMessage,
  enrollMac,
  enrollMessage,
  enrollRequest,
} from "../wire/enroll.ts";
import { type Identity, identityFingerprint, identityMessage } from "../wire/identity.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { parseToken, type Token } from "../wire/token.ts";
import type { Keystore } from "./keystore.ts";
import { type CertificatePin, errorOf, type HttpAnswer, type HttpCall, Transport, Unreachable } from "./transport.ts";

const CBOR = { "content-type": "application/cbor" };

export function pinOf(identity: Identity): CertificatePin {
  return identity.tls_certificate_sha256 === null ? "authorities" : { sha256: identity.tls_certificate_sha256 };
}

/**
 * link: the printed token. Throws server.identity where the server is not the one in the token (nothing of the token
 * has been sent then), enroll.* where it refuses.
 */
export async function enrollDevice(link: string): Promise<Keystore> {
  const token = parseToken(link);
  const encodedIdentity = await readIdentity(token);
  const identity = identityMessage.decode(encodedIdentity);
  const transport = new Transport(token.url, pinOf(identity));
  try {
    const keys = await freshKeys();
    const request = signedRequest(token, keys);
    wipe(token.secret);
    const answer = await callOnce(transport, token.url, {
      method: "POST",
      path: "/api/enroll",
      headers: CBOR,
      body: [request],
      bodyBytesMax: enrollAnswer.bytesMax,
    });
    if (answer.status !== 200) throw errorOf(answer);
    const { device_id, run_id } = checkAnswer(answer.body, request, identity, keys);
    return { v: 1, name: token.name, device_id, run_id, url: token.url, identity: encodedIdentity, ...keys };
  } finally {
    transport.close();
  }
}

/** Enrolling is not repeated: a lost answer leaves it open whether the token has been used. */
async function callOnce(transport: Transport, url: string, call: HttpCall): Promise<HttpAnswer> {
  try {
    return await transport.call(call);
  } catch (cause) {
    if (!(cause instanceof Unreachable)) throw cause;
    throw new QflareError("server.unavailable", `${url} does not answer (${cause.message})`, { cause });
  }
}

async function readIdentity(token: Token): Promise<Uint8Array<ArrayBuffer>> {
  const transport = new Transport(token.url, "any");
  try {
    const answer = await callOnce(transport, token.url, {
      method: "GET",
      path: "/api/identity",
      bodyBytesMax: identityMessage.bytesMax,
    });
    if (answer.status !== 200) throw errorOf(answer);
    if (!equal(identityFingerprint(answer.body), token.fingerprint)) throw new QflareError("server.identity");
    return answer.body;
  } finally {
    transport.close();
  }
}

type DeviceKeys = Pick<Keystore, "kem_secret_key" | "kem_public_key" | "signature_secret_key" | "signature_public_key">;

async function freshKeys(): Promise<DeviceKeys> {
  const encapsulation = await kem("FrodoKEM-640-AES").generateKeyPair();
  const signing = signature("ML-DSA-44").generateKeyPair();
  return {
    kem_secret_key: encapsulation.secretKey,
    kem_public_key: encapsulation.publicKey,
    signature_secret_key: signing.secretKey,
    signature_public_key: signing.publicKey,
  };
}

function signedRequest(token: Token, keys: DeviceKeys): Uint8Array<ArrayBuffer> {
  const message = enrollMessage.encode({
    v: 1,
    enrollment_token: token.id,
    name: token.name,
    kem: "FrodoKEM-640-AES",
    kem_public_key: keys.kem_public_key,
    signature_scheme: "ML-DSA-44",
    signature_public_key: keys.signature_public_key,
    server_fingerprint: token.fingerprint,
  });
  const signed = signature("ML-DSA-44").sign(keys.signature_secret_key, message, CONTEXTS.enroll);
  return enrollRequest.encode({ message, signature: signed, mac: enrollMac(token.secret, message, signed) });
}

function checkAnswer(
  encoded: Uint8Array,
  request: Uint8Array,
  identity: Identity,
  keys: DeviceKeys,
): ReturnType<typeof enrolledMessage.decode> {
  const answer = enrollAnswer.decode(encoded);
  const serverKey = concat(identity.signature_public_key);
  const isSigned = signature("ML-DSA-44").verify(serverKey, answer.message, answer.signature, CONTEXTS.enrolled);
  const enrolled = enrolledMessage.decode(answer.message);
  const isOurs = equal(enrolled.device_id, deviceId(sha256(keys.kem_public_key), keys.signature_public_key));
  if (!isSigned || !isOurs || !equal(enrolled.request_digest, enrollDigest(request))) {
    throw new QflareError("server.identity", "its answer to the enrolment is not signed for this request");
  }
  return enrolled;
}

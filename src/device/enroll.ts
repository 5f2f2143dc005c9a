// Enrolment from the device's side: the server's identity first, then fresh keys under the token.

import { equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { kem } from "../crypto/kem-table.ts";
import { schemeOfKey, signature } from "../crypto/signature.ts";
import { kindsOfKeys, SUITE_NAMES, SUITES, type Suite, type SuiteName } from "../crypto/suite.ts";
import {
  deviceId,
  enrollAnswer,
  enrollDigest,
  enrolledMessage,
  enrollMac,
  enrollMessage,
  enrollRequest,
  type NamedKeys,
} from "../wire/enroll.ts";
import { type Identity, identityFingerprint, identityMessage, serverKeyOf } from "../wire/identity.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { parseToken, type Token } from "../wire/token.ts";
import type { Keystore } from "./keystore.ts";
import { readNextIdentity } from "./pins.ts";
import {
  CBOR_HEADERS,
  type CertificatePin,
  errorOf,
  type HttpAnswer,
  type HttpCall,
  Transport,
  Unreachable,
} from "./transport.ts";

export function pinOf(identity: Identity): CertificatePin {
  return identity.tls_certificate_sha256 === null ? "authorities" : { sha256: identity.tls_certificate_sha256 };
}

/**
 * link: the printed token. suites: the first decides what keys are made. Throws server.identity where the server is not
 * the one in the token (nothing of the token has been sent then), enroll.* where it refuses.
 */
export async function enrollDevice(link: string, suites: readonly SuiteName[] = SUITE_NAMES): Promise<Keystore> {
  const token = parseToken(link);
  const encodedIdentity = await readIdentity(token);
  const identity = identityMessage.decode(encodedIdentity);
  const transport = new Transport(token.url, pinOf(identity));
  try {
    const next = await readNextIdentity(transport, encodedIdentity);
    const keys = await freshKeys(SUITES[suites[0]!]);
    const request = signedRequest(token, keys);
    wipe(token.secret);
    const answer = await repeated(transport, token.url, {
      method: "POST",
      path: "/api/enroll",
      headers: CBOR_HEADERS,
      body: [request],
      bodyBytesMax: enrollAnswer.bytesMax,
    });
    if (answer.status !== 200) throw errorOf(answer);
    const { device_id, run_id } = checkAnswer(answer.body, request, identity, keys);
    const place = { name: token.name, device_id, run_id, url: token.url };
    return { v: 1, ...place, identity: encodedIdentity, next_identity: next, former_identities: [], ...keys };
  } finally {
    transport.close();
  }
}

const TRIES = 5;
const WAIT_MS = 200;

/** The same bytes again, which the server answers alike, where it is open whether the first ones came through. */
async function repeated(transport: Transport, url: string, call: HttpCall): Promise<HttpAnswer> {
  for (let left = TRIES - 1; ; left--) {
    try {
      return await transport.call(call);
    } catch (cause) {
      if (!(cause instanceof Unreachable)) throw cause;
      if (left === 0)
        throw new QflareError("server.unavailable", `${url} does not answer (${cause.message})`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

async function readIdentity(token: Token): Promise<Uint8Array<ArrayBuffer>> {
  const transport = new Transport(token.url, "any");
  try {
    const answer = await repeated(transport, token.url, {
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

export type DeviceKeys = Pick<
  Keystore,
  "kem_secret_key" | "kem_public_key" | "signature_secret_key" | "signature_public_key"
>;

/** Of the kinds that the suite needs. */
export async function freshKeys(suite: Suite): Promise<DeviceKeys> {
  const encapsulation = await kem(suite.static).generateKeyPair();
  const signing = signature(suite.signature).generateKeyPair();
  return {
    kem_secret_key: encapsulation.secretKey,
    kem_public_key: encapsulation.publicKey,
    signature_secret_key: signing.secretKey,
    signature_public_key: signing.publicKey,
  };
}

/** The public keys with the names of their mechanisms, as messages carry them. */
export function namedKeys({ kem_public_key, signature_public_key }: DeviceKeys): NamedKeys {
  const kinds = kindsOfKeys(kem_public_key, signature_public_key)!;
  return { kem: kinds.static, kem_public_key, signature_scheme: kinds.signature, signature_public_key };
}

function signedRequest(token: Token, keys: DeviceKeys): Uint8Array<ArrayBuffer> {
  const message = enrollMessage.encode({
    v: 1,
    enrollment_token: token.id,
    name: token.name,
    ...namedKeys(keys),
    server_fingerprint: token.fingerprint,
  });
  const scheme = schemeOfKey(keys.signature_public_key)!;
  const signed = scheme.sign(keys.signature_secret_key, message, CONTEXTS.enroll);
  return enrollRequest.encode({ message, signature: signed, mac: enrollMac(token.secret, message, signed) });
}

function checkAnswer(
  encoded: Uint8Array,
  request: Uint8Array,
  identity: Identity,
  keys: DeviceKeys,
): ReturnType<typeof enrolledMessage.decode> {
  const answer = enrollAnswer.decode(encoded);
  const scheme = schemeOfKey(keys.signature_public_key)!;
  const serverKey = serverKeyOf(identity, scheme.name);
  const isSigned = scheme.verify(serverKey, answer.message, answer.signature, CONTEXTS.enrolled);
  const enrolled = enrolledMessage.decode(answer.message);
  const isOurs = equal(enrolled.device_id, deviceId(sha256(keys.kem_public_key), keys.signature_public_key));
  if (!isSigned || !isOurs || !equal(enrolled.request_digest, enrollDigest(request))) {
    throw new QflareError("server.identity", "its answer to the enrolment is not signed for this request");
  }
  return enrolled;
}

// The full handshake from the device's side.

import { equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, DevicePsk, Random } from "../core/ports.ts";
import { kem } from "../crypto/kem-table.ts";
import { signature } from "../crypto/signature.ts";
import {
  type ExchangeKem,
  exchangeKem,
  exchangeSizes,
  kindsOfKeys,
  SUITES,
  type Suite,
  type SuiteName,
  suitesOfKinds,
} from "../crypto/suite.ts";
import {
  type Answer,
  answerMessage,
  challengeAnswer,
  challengeRequest,
  helloMessage,
  NONCE_BYTES,
} from "../wire/challenge.ts";
import {
  deriveSession,
  deviceConfirmation,
  serverConfirmation,
  transcriptHash,
  wipeSession,
} from "../wire/handshake.ts";
import { identityMessage, serverKeyOf } from "../wire/identity.ts";
import { CONTEXTS } from "../wire/labels.ts";
import type { Keystore } from "./keystore.ts";
import { Session } from "./session.ts";
import { CBOR_HEADERS, errorOf, RemoteError, type Transport } from "./transport.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface SessionOptions {
  /** What this device would take, preferred first. Those that its keys do not serve are left out. */
  readonly suites: readonly SuiteName[];
  readonly clock: Clock;
  readonly random: Random;
  readonly psk?: DevicePsk;
}

/**
 * Where the server has not the first suite, once more with the next one that both would take. The offer is signed
 * whole each time, so a server that would have taken an earlier one refuses: nobody on the way chooses. Throws
 * session.suite, session.refused, or server.identity where the answer is not the pinned server's.
 */
export async function openSession(transport: Transport, keystore: Keystore, options: SessionOptions): Promise<Session> {
  const suites = usableSuites(keystore, options.suites);
  const first = suites[0]!;
  try {
    return await handshake(transport, keystore, options, suites, first);
  } catch (error) {
    if (!(error instanceof RemoteError) || error.code !== "session.suite") throw error;
    const next = suites.find((name) => name !== first && error.suites.includes(name));
    if (next === undefined) throw error;
    return await handshake(transport, keystore, options, suites, next);
  }
}

/** Throws config.invalid where the keys serve none of them. */
export function usableSuites(
  { kem_public_key, signature_public_key }: Pick<Keystore, "kem_public_key" | "signature_public_key">,
  suites: readonly SuiteName[],
): SuiteName[] {
  const kinds = kindsOfKeys(kem_public_key, signature_public_key);
  const usable = kinds === undefined ? [] : suitesOfKinds(kinds, suites);
  if (usable.length === 0) {
    throw new QflareError("config.invalid", `suites: the device's keys serve none of ${suites.join(", ")}`);
  }
  return usable;
}

async function handshake(
  transport: Transport,
  keystore: Keystore,
  options: SessionOptions,
  suites: readonly SuiteName[],
  name: SuiteName,
): Promise<Session> {
  const exchange = exchangeKem(SUITES[name].ephemeral);
  const ephemeral = await exchange.generateKeyPair();
  try {
    const hello = await helloOf(keystore, options, suites, name, ephemeral.publicKey);
    return await exchangeMessages(transport, keystore, options, SUITES[name], hello, {
      exchange,
      secretKey: ephemeral.secretKey,
    });
  } finally {
    wipe(ephemeral.secretKey);
  }
}

async function helloOf(
  keystore: Keystore,
  { clock, random, psk }: SessionOptions,
  suites: readonly SuiteName[],
  suite: SuiteName,
  ephemeralPublicKey: Bytes,
): Promise<Bytes> {
  return helloMessage.encode({
    v: 1,
    suites: [...suites],
    suite,
    device_id: keystore.device_id,
    nonce: random.bytes(NONCE_BYTES),
    timestamp: clock.nowMs(),
    ephemeral_public_key: ephemeralPublicKey,
    psk_ids: [...((await psk?.offer()) ?? [])],
  });
}

async function exchangeMessages(
  transport: Transport,
  keystore: Keystore,
  options: SessionOptions,
  suite: Suite,
  hello: Bytes,
  ephemeral: { readonly exchange: ExchangeKem; readonly secretKey: Bytes },
): Promise<Session> {
  const scheme = signature(suite.signature);
  const helloSignature = scheme.sign(keystore.signature_secret_key, hello, CONTEXTS.hello);
  const answer = await transport.call({
    method: "POST",
    path: "/api/challenge",
    headers: CBOR_HEADERS,
    body: [challengeRequest.encode({ message: hello, signature: helloSignature })],
    bodyBytesMax: challengeAnswer.bytesMax,
  });
  if (answer.status !== 200) throw errorOf(answer);
  const outer = challengeAnswer.decode(answer.body);
  const inner = answerMessage.decode(outer.message);
  const serverKey = serverKeyOf(identityMessage.decode(keystore.identity), suite.signature);
  const th2 = transcriptHash(hello, helloSignature, outer.message, serverKey);
  checkAnswer(inner, suite, scheme.verify(serverKey, th2, outer.signature, CONTEXTS.answer));
  const shared = await takePsk(options.psk, inner.psk_id);
  const ephemeralSecret = await ephemeral.exchange.decapsulate(ephemeral.secretKey, inner.ephemeral_ciphertext);
  const staticSecret = await kem(suite.static).decapsulate(keystore.kem_secret_key, inner.static_ciphertext);
  const keys = deriveSession(th2, ephemeralSecret, staticSecret, shared);
  if (shared !== undefined) wipe(shared);
  if (!equal(serverConfirmation(keys, th2), outer.confirmation)) {
    wipeSession(keys);
    throw new QflareError("server.identity", "its confirmation does not hold");
  }
  const nowMs = options.clock.nowMs();
  return new Session(transport, {
    id: inner.session_id,
    suite: suite.name,
    keys,
    confirmation: deviceConfirmation(keys, th2, outer.signature, outer.confirmation),
    expiresAtMs: Math.min(inner.expires_at, nowMs + LIMITS.sessionKeyAgeMsMax),
    fullUntilMs: nowMs + LIMITS.sessionAgeMsMax,
    serverKey,
    hasPsk: shared !== undefined,
  });
}

/** A named key that this device has not is an answer that it cannot follow. */
async function takePsk(psk: DevicePsk | undefined, id: Bytes | null): Promise<Bytes | undefined> {
  const key = await psk?.take(id);
  if (id !== null && key === undefined) throw new QflareError("session.psk", "the server named a key that is not here");
  return key;
}

function checkAnswer(answer: Answer, wanted: Suite, isSigned: boolean): void {
  const isWhole =
    answer.ephemeral_ciphertext.length === exchangeSizes(wanted.ephemeral).ciphertext &&
    answer.static_ciphertext.length === exchangeSizes(wanted.static).ciphertext;
  if (!isSigned || answer.suite !== wanted.name || !isWhole) {
    throw new QflareError("server.identity", "its answer to the challenge is not signed for this suite");
  }
}

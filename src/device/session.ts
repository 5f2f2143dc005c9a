// A session from the device's side: the handshake, then protected requests.

import { equal, toBase64Url, toHex, u32be, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { AEAD_TAG_BYTES } from "../crypto/aead-sizes.ts";
import { kem } from "../crypto/kem-table.ts";
import { signature } from "../crypto/signature.ts";
import { exchangeKem, exchangeSizes, SUITES, type SuiteName } from "../crypto/suite.ts";
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
  type SessionKeys,
  serverConfirmation,
  transcriptHash,
  wipeSession,
} from "../wire/handshake.ts";
import { identityMessage } from "../wire/identity.ts";
import { CONTEXTS } from "../wire/labels.ts";
import {
  HEADERS,
  openRecord,
  RECORD_TYPE,
  type RecordPlace,
  SequenceWindow,
  SUBMIT_TYPE,
  sealRecord,
} from "../wire/record.ts";
import type { Keystore } from "./keystore.ts";
import { errorOf, type HttpAnswer, type Transport, Unreachable } from "./transport.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface SessionOptions {
  /** What this device would take, preferred first. */
  readonly suites: readonly SuiteName[];
  readonly clock: Clock;
  readonly random: Random;
}

/** Throws session.suite, session.refused, or server.identity where the answer is not the pinned server's. */
export async function openSession(transport: Transport, keystore: Keystore, options: SessionOptions): Promise<Session> {
  const suite = SUITES[options.suites[0]!];
  const scheme = signature("ML-DSA-44");
  const exchange = exchangeKem(suite.ephemeral);
  const ephemeral = await exchange.generateKeyPair();
  const hello = helloMessage.encode({
    v: 1,
    suites: [...options.suites],
    suite: suite.name,
    device_id: keystore.device_id,
    nonce: options.random.bytes(NONCE_BYTES),
    timestamp: options.clock.nowMs(),
    ephemeral_public_key: ephemeral.publicKey,
  });
  const helloSignature = scheme.sign(keystore.signature_secret_key, hello, CONTEXTS.hello);
  const answer = await transport.call({
    method: "POST",
    path: "/api/challenge",
    headers: { "content-type": "application/cbor" },
    body: [challengeRequest.encode({ message: hello, signature: helloSignature })],
    bodyBytesMax: challengeAnswer.bytesMax,
  });
  if (answer.status !== 200) throw errorOf(answer);
  const outer = challengeAnswer.decode(answer.body);
  const inner = answerMessage.decode(outer.message);
  const serverKey = identityMessage.decode(keystore.identity).signature_public_key;
  const th2 = transcriptHash(hello, helloSignature, outer.message, serverKey);
  checkAnswer(inner, suite.name, scheme.verify(serverKey, th2, outer.signature, CONTEXTS.answer));
  const ephemeralSecret = await exchange.decapsulate(ephemeral.secretKey, inner.ephemeral_ciphertext);
  wipe(ephemeral.secretKey);
  const staticSecret = await kem(suite.static).decapsulate(keystore.kem_secret_key, inner.static_ciphertext);
  const keys = deriveSession(th2, ephemeralSecret, staticSecret);
  if (!equal(serverConfirmation(keys, th2), outer.confirmation)) {
    throw new QflareError("server.identity", "its confirmation does not hold");
  }
  const confirmation = deviceConfirmation(keys, th2, outer.signature, outer.confirmation);
  return new Session(transport, keys, inner, confirmation);
}

function checkAnswer(answer: Answer, wanted: SuiteName, isSigned: boolean): void {
  const expected = exchangeSizes(SUITES[wanted].ephemeral).ciphertext;
  if (!isSigned || answer.suite !== wanted || answer.ephemeral_ciphertext.length !== expected) {
    throw new QflareError("server.identity", "its answer to the challenge is not signed for this suite");
  }
}

export class Session {
  readonly expiresAtMs: number;
  readonly suite: SuiteName;
  readonly #transport: Transport;
  readonly #keys: SessionKeys;
  readonly #id: Bytes;
  readonly #confirmation: Bytes;
  readonly #window = new SequenceWindow();
  #sequence = 0;
  #isConfirmed = false;
  #isClosed = false;

  constructor(transport: Transport, keys: SessionKeys, answer: Answer, confirmation: Bytes) {
    this.#transport = transport;
    this.#keys = keys;
    this.#id = answer.session_id;
    this.#confirmation = confirmation;
    this.suite = answer.suite;
    this.expiresAtMs = answer.expires_at;
  }

  /** Whether enough records are left for a while. */
  get hasRecords(): boolean {
    return this.#sequence < LIMITS.sessionRecordsMax - 1;
  }

  /** One protected request; blob follows the record in the body of a POST. Throws the server's coded error. */
  async call(
    method: "GET" | "POST",
    path: string,
    plaintext: Uint8Array,
    bytesMax: number,
    blob?: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Bytes> {
    this.#requireOpen();
    const place = this.#place(method, path, blob);
    const record = sealRecord(this.#keys.client, place, plaintext);
    const headers: Record<string, string> = {
      [HEADERS.session]: toHex(this.#id),
      [HEADERS.sequence]: String(place.sequence),
      ...(this.#isConfirmed ? {} : { [HEADERS.confirm]: toHex(this.#confirmation) }),
    };
    const answer = await this.#transport.call({
      method,
      path,
      headers:
        blob === undefined
          ? { ...headers, [HEADERS.record]: toBase64Url(record) }
          : { ...headers, "content-type": SUBMIT_TYPE },
      ...(blob === undefined ? {} : { body: [u32be(record.length), record, blob] }),
      bodyBytesMax: bytesMax + AEAD_TAG_BYTES,
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.status !== 200) throw errorOf(answer);
    return this.#open(place, answer);
  }

  #place(method: string, path: string, blob: Uint8Array | undefined): RecordPlace {
    const sequence = this.#sequence++;
    return {
      direction: "c2s",
      method,
      path,
      sessionId: this.#id,
      sequence,
      answers: sequence,
      contentType: blob === undefined ? RECORD_TYPE : SUBMIT_TYPE,
      contentLength: blob?.length ?? 0,
    };
  }

  #open(place: RecordPlace, answer: HttpAnswer): Bytes {
    this.#requireOpen();
    const sequence = Number(answer.headers[HEADERS.sequence] ?? Number.NaN);
    const answerPlace = { ...place, direction: "s2c", sequence, contentType: RECORD_TYPE, contentLength: 0 } as const;
    const plaintext = this.#window.isFresh(sequence)
      ? openRecord(this.#keys.server, answerPlace, answer.body)
      : undefined;
    if (plaintext === undefined || !this.#window.take(sequence)) {
      throw new QflareError("server.identity", "its answer was not sealed in this session for this request");
    }
    this.#isConfirmed = true;
    return plaintext;
  }

  /** Wiped keys are zeros, which anybody can seal with: a call that outlived its session is made again in another. */
  #requireOpen(): void {
    if (this.#isClosed) throw new Unreachable("the session was closed");
  }

  close(): void {
    this.#isClosed = true;
    wipeSession(this.#keys);
    wipe(this.#confirmation);
  }
}

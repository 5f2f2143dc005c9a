// A session by hand: every field of the handshake and every byte of a record can be altered before it is sent.

import assert from "node:assert/strict";
import { toBase64Url, toHex, u32be } from "../../src/core/bytes.ts";
import { encodeCbor } from "../../src/core/codec.ts";
import type { Clock } from "../../src/core/ports.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { signature } from "../../src/crypto/signature.ts";
import { exchangeKem, SUITES, type SuiteName } from "../../src/crypto/suite.ts";
import type { Keystore } from "../../src/device/keystore.ts";
import type { HttpAnswer } from "../../src/device/transport.ts";
import { type Answer, answerMessage, challengeAnswer, challengeRequest, type Hello } from "../../src/wire/challenge.ts";
import { deriveSession, deviceConfirmation, type SessionKeys, transcriptHash } from "../../src/wire/handshake.ts";
import { identityMessage } from "../../src/wire/identity.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { HEADERS, openRecord, RECORD_TYPE, type RecordPlace, SUBMIT_TYPE, sealRecord } from "../../src/wire/record.ts";
import { CBOR, exchange, type Place, type RawCall } from "./http.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A first message and the key that belongs to it. */
export interface HelloDraft {
  readonly fields: Hello;
  readonly message: Bytes;
  readonly signature: Bytes;
  readonly ephemeralSecretKey: Bytes;
}

export const mldsa: ReturnType<typeof signature> = signature("ML-DSA-44");

/** Signs whatever the changes make of it, also what no shape allows. */
export async function draftHello(
  keystore: Keystore,
  clock: Clock,
  changes: Partial<Record<keyof Hello, unknown>> = {},
  suite: SuiteName = "QF2-HYBRID",
): Promise<HelloDraft> {
  const ephemeral = await exchangeKem(SUITES[suite].ephemeral).generateKeyPair();
  const fields: Hello = {
    v: 1,
    suites: [suite],
    suite,
    device_id: keystore.device_id,
    nonce: systemRandom.bytes(32),
    timestamp: clock.nowMs(),
    ephemeral_public_key: ephemeral.publicKey,
    psk_ids: [],
    ...(changes as Partial<Hello>),
  };
  const message = encodeCbor(fields);
  const signed = mldsa.sign(keystore.signature_secret_key, message, CONTEXTS.hello);
  return { fields, message, signature: signed, ephemeralSecretKey: ephemeral.secretKey };
}

export function encodeHello({ message, signature: signed }: Pick<HelloDraft, "message" | "signature">): Bytes {
  return challengeRequest.encode({ message, signature: signed });
}

export async function postChallenge(place: Place, body: Uint8Array): Promise<HttpAnswer> {
  return await exchange(place, { method: "POST", path: "/api/challenge", headers: CBOR, body: [body] });
}

/** A request in its record, to be altered at will before it is sent. */
export interface SealedRequest {
  readonly call: RawCall & { readonly headers: Record<string, string> };
  readonly place: RecordPlace;
  readonly record: Bytes;
}

export class HandSession {
  readonly id: Bytes;
  readonly keys: SessionKeys;
  readonly confirmation: Bytes;
  /** Of the next request. */
  sequence = 0;
  readonly #server: Place;

  constructor(server: Place, id: Bytes, keys: SessionKeys, confirmation: Bytes) {
    this.#server = server;
    this.id = id;
    this.keys = keys;
    this.confirmation = confirmation;
  }

  static async open(
    server: Place & { readonly clock: Clock },
    keystore: Keystore,
    suite: SuiteName = "QF2-HYBRID",
  ): Promise<HandSession> {
    const hello = await draftHello(keystore, server.clock, {}, suite);
    const answer = await postChallenge(server, encodeHello(hello));
    assert.equal(answer.status, 200);
    return await HandSession.accept(server, keystore, hello, answer.body, suite);
  }

  static async accept(
    server: Place,
    keystore: Keystore,
    hello: HelloDraft,
    encoded: Uint8Array,
    suite: SuiteName,
  ): Promise<HandSession> {
    const outer = challengeAnswer.decode(encoded);
    const inner: Answer = answerMessage.decode(outer.message);
    const serverKey = identityMessage.decode(keystore.identity).signature_public_key;
    const th2 = transcriptHash(hello.message, hello.signature, outer.message, serverKey);
    const { ephemeral, static: fixed } = SUITES[suite];
    const ephemeralSecret = await exchangeKem(ephemeral).decapsulate(
      hello.ephemeralSecretKey,
      inner.ephemeral_ciphertext,
    );
    const staticSecret = await kem(fixed).decapsulate(keystore.kem_secret_key, inner.static_ciphertext);
    const keys = deriveSession(th2, ephemeralSecret, staticSecret);
    const confirmation = deviceConfirmation(keys, th2, outer.signature, outer.confirmation);
    return new HandSession(server, inner.session_id, keys, confirmation);
  }

  /** sealedAs: where the record is sealed for, where that differs from where it is sent. */
  seal(
    method: string,
    path: string,
    plaintext: Uint8Array,
    options: { blob?: Uint8Array; sealedAs?: Partial<RecordPlace> } = {},
  ): SealedRequest {
    const { blob, sealedAs } = options;
    const sequence = sealedAs?.sequence ?? this.sequence++;
    const place: RecordPlace = {
      direction: "c2s",
      method,
      path,
      sessionId: this.id,
      sequence,
      answers: sequence,
      contentType: blob === undefined ? RECORD_TYPE : SUBMIT_TYPE,
      contentLength: blob?.length ?? 0,
      ...sealedAs,
    };
    const record = sealRecord(this.keys.client, place, plaintext);
    const headers: Record<string, string> = {
      [HEADERS.session]: toHex(this.id),
      [HEADERS.sequence]: String(sequence),
      [HEADERS.confirm]: toHex(this.confirmation),
    };
    if (blob === undefined && method === "POST") {
      headers["content-type"] = RECORD_TYPE;
      return { call: { method, path, headers, body: [record] }, place, record };
    }
    if (blob === undefined) {
      headers[HEADERS.record] = toBase64Url(record);
      return { call: { method, path, headers }, place, record };
    }
    headers["content-type"] = SUBMIT_TYPE;
    return { call: { method, path, headers, body: [u32be(record.length), record, blob] }, place, record };
  }

  async send({ call }: SealedRequest): Promise<HttpAnswer> {
    return await exchange(this.#server, call);
  }

  /** The answer's plaintext. Fails where it was not sealed for this request. */
  open({ place }: SealedRequest, answer: HttpAnswer): Bytes {
    assert.equal(answer.status, 200, Buffer.from(answer.body).toString("latin1"));
    const sequence = Number(answer.headers[HEADERS.sequence]);
    const answerPlace = { ...place, direction: "s2c", sequence, contentType: RECORD_TYPE, contentLength: 0 } as const;
    const plaintext = openRecord(this.keys.server, answerPlace, answer.body);
    assert.ok(plaintext !== undefined, "the answer was not sealed for this request");
    return plaintext;
  }
}

/** A copy with one bit of one byte turned over; at: from the front, or from the end where negative. */
export function flipped(bytes: Uint8Array, at = Math.floor(bytes.length / 2)): Bytes {
  const out = new Uint8Array(bytes);
  out[at < 0 ? bytes.length + at : at]! ^= 1;
  return out;
}

/** For each field of a message: a copy in which that field alone is another. */
export function alteredFields<T extends object>(fields: T): [name: keyof T & string, altered: T][] {
  return Object.entries(fields).map(([name, value]) => [
    name as keyof T & string,
    { ...fields, [name]: altered(value) },
  ]);
}

function altered(value: unknown): unknown {
  if (value instanceof Uint8Array) return flipped(value);
  if (typeof value === "number") return value + 1;
  if (value === null) return Uint8Array.of(1);
  if (typeof value === "string") return value.startsWith("QF2") ? "QF1-FRODO" : `${value}x`;
  if (Array.isArray(value)) return value.length === 0 ? [Uint8Array.of(1)] : [...value, ...value];
  throw new TypeError(`no way to alter ${String(value)}`);
}

/** Fails for a message whose shape has a field that the walk over its fields would miss. */
export function assertWholeWalk(walked: readonly string[], shape: { readonly fields: object }): void {
  assert.deepEqual([...walked].sort(), Object.keys(shape.fields).sort());
}

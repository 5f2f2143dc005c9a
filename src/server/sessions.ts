// Sessions: the server's side of the handshake, and the live sessions with their keys and windows. Every refusal is the
// same session.refused, whatever its cause.

import { equal, toHex, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { kem } from "../crypto/kem-table.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { exchangeKem, exchangeSizes, SUITES, type SuiteName } from "../crypto/suite.ts";
import {
  answerMessage,
  challengeAnswer,
  challengeRequest,
  type Hello,
  helloMessage,
  NONCE_BYTES,
  SESSION_ID_BYTES,
} from "../wire/challenge.ts";
import {
  deriveSession,
  deviceConfirmation,
  type SessionKeys,
  serverConfirmation,
  transcriptHash,
  wipeSession,
} from "../wire/handshake.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { SequenceWindow } from "../wire/record.ts";
import type { ServerKeys } from "./keys.ts";
import type { Device, Registry } from "./registry.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Unconfirmed sessions live this long: the device answers at once or not at all. */
const UNCONFIRMED_MS = 30_000;

export interface Session {
  readonly id: Bytes;
  readonly device: Device;
  readonly keys: SessionKeys;
  readonly window: SequenceWindow;
  /** What the first protected requests must carry. */
  readonly confirmation: Bytes;
  readonly expiresAtMs: number;
  isLive: boolean;
  /** Its keys are wiped. A request may still be on its way, for as long as a long poll lasts. */
  isClosed: boolean;
  lastUsedMs: number;
  nextSequence: number;
}

export interface SessionPorts {
  readonly registry: Registry;
  readonly keys: ServerKeys;
  readonly clock: Clock;
  readonly random: Random;
  /** Allowed suites, preferred first. */
  readonly suites: readonly SuiteName[];
  enclaveKeyHash(): Bytes;
}

export class Sessions {
  readonly #ports: SessionPorts;
  readonly #sessions = new Map<string, Session>();
  /** Nonces of accepted first messages and when they may be forgotten. */
  readonly #nonces = new Map<string, number>();

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Whose session this is, if it is one. */
  deviceOf(sessionId: Uint8Array): Device | undefined {
    return this.#sessions.get(toHex(sessionId))?.device;
  }

  /** Order: length and form, timestamp, nonce unseen, signature, suite, and only then KEM work. */
  async challenge(encoded: Uint8Array): Promise<Bytes> {
    const { clock, registry } = this.#ports;
    const request = challengeRequest.decode(encoded);
    const hello = helloMessage.decode(request.message);
    const nowMs = clock.nowMs();
    const nonce = toHex(hello.nonce);
    if (Math.abs(hello.timestamp - nowMs) > LIMITS.clockSkewMsMax || this.#nonces.has(nonce)) refuse();
    const device = await registry.findDevice(hello.device_id);
    const isSigned = verifyHello(device, request.message, request.signature);
    if (device === undefined || !isSigned || this.#nonces.has(nonce)) refuse();
    this.#rememberNonce(nonce, nowMs);
    this.#checkSuite(hello);
    return await this.#answer(device, hello, request);
  }

  /**
   * The device's first wish that this server allows must be the one it brought a key for: else somebody cut the list.
   */
  #checkSuite(hello: Hello): void {
    const chosen = hello.suites.find((suite) => this.#ports.suites.includes(suite));
    if (chosen === undefined || chosen !== hello.suite) {
      throw new QflareError("session.suite", `expected a key for ${chosen ?? this.#ports.suites.join(" or ")}`);
    }
    const expected = exchangeSizes(SUITES[hello.suite].ephemeral).publicKey;
    if (hello.ephemeral_public_key.length !== expected) {
      throw new QflareError("message.malformed", `ephemeral_public_key: expected ${expected} bytes`);
    }
  }

  async #answer(device: Device, hello: Hello, request: { message: Bytes; signature: Bytes }): Promise<Bytes> {
    const { clock, random, keys } = this.#ports;
    const suite = SUITES[hello.suite];
    const ephemeral = await exchangeKem(suite.ephemeral).encapsulate(hello.ephemeral_public_key);
    const fixed = await kem(suite.static).encapsulate(device.kem_public_key);
    const sessionId = random.bytes(SESSION_ID_BYTES);
    const nowMs = clock.nowMs();
    const message = answerMessage.encode({
      v: 1,
      suite: suite.name,
      session_id: sessionId,
      nonce: random.bytes(NONCE_BYTES),
      expires_at: nowMs + LIMITS.sessionAgeMsMax,
      ephemeral_ciphertext: ephemeral.ciphertext,
      static_ciphertext: fixed.ciphertext,
      enclave_key_hash: this.#ports.enclaveKeyHash(),
    });
    const th2 = transcriptHash(request.message, request.signature, message, keys.signaturePublicKey);
    const sessionKeys = deriveSession(th2, ephemeral.sharedSecret, fixed.sharedSecret);
    const signed = signature(suite.signature).sign(keys.signatureSecretKey, th2, CONTEXTS.answer);
    const confirmation = serverConfirmation(sessionKeys, th2);
    this.#add({
      id: sessionId,
      device,
      keys: sessionKeys,
      window: new SequenceWindow(),
      confirmation: deviceConfirmation(sessionKeys, th2, signed, confirmation),
      expiresAtMs: nowMs + LIMITS.sessionAgeMsMax,
      isLive: false,
      isClosed: false,
      lastUsedMs: nowMs,
      nextSequence: 0,
    });
    return challengeAnswer.encode({ message, signature: signed, confirmation });
  }

  #add(session: Session): void {
    this.#removeStale(session.lastUsedMs);
    const own = [...this.#sessions.values()].filter((other) => other.device === session.device);
    for (const oldest of own.slice(0, Math.max(0, own.length - LIMITS.sessionsPerDeviceMax + 1))) this.#remove(oldest);
    if (this.#sessions.size >= LIMITS.sessionsMax) throw new QflareError("server.unavailable", "too many sessions");
    this.#sessions.set(toHex(session.id), session);
  }

  /** Throws session.refused unless the session lives, or comes to life by this confirmation. */
  async use(sessionId: Uint8Array, confirmation: Uint8Array | undefined): Promise<Session> {
    const session = this.#sessions.get(toHex(sessionId));
    const nowMs = this.#ports.clock.nowMs();
    if (session === undefined || isStale(session, nowMs)) refuse();
    const isConfirmed = confirmation !== undefined && equal(confirmation, session.confirmation);
    if (confirmation !== undefined && !isConfirmed) refuse();
    if (!session.isLive && !isConfirmed) refuse();
    return session;
  }

  /** Called once a record of the session has opened. */
  async confirm(session: Session): Promise<void> {
    session.lastUsedMs = this.#ports.clock.nowMs();
    if (session.isLive) return;
    await this.#ports.registry.activate(session.device);
    session.isLive = true;
  }

  close(): void {
    for (const session of this.#sessions.values()) this.#remove(session);
  }

  #removeStale(nowMs: number): void {
    for (const session of this.#sessions.values()) if (isStale(session, nowMs)) this.#remove(session);
  }

  #remove(session: Session): void {
    this.#sessions.delete(toHex(session.id));
    session.isClosed = true;
    wipeSession(session.keys);
    wipe(session.confirmation);
  }

  /**
   * Older nonces fail by their timestamp, so they may be forgotten; one of exactly that age does not yet. Maps keep the
   * order of insertion.
   */
  #rememberNonce(nonce: string, nowMs: number): void {
    for (const [old, untilMs] of this.#nonces) {
      if (untilMs >= nowMs) break;
      this.#nonces.delete(old);
    }
    this.#nonces.set(nonce, nowMs + LIMITS.helloNonceMsMax);
  }
}

function isStale(session: Session, nowMs: number): boolean {
  const idleMs = nowMs - session.lastUsedMs;
  return nowMs >= session.expiresAtMs || idleMs >= (session.isLive ? LIMITS.sessionIdleMsMax : UNCONFIRMED_MS);
}

function refuse(): never {
  throw new QflareError("session.refused");
}

/** An unknown device costs a verification too, so that time does not tell who is enrolled. */
function verifyHello(device: Device | undefined, message: Uint8Array, signed: Uint8Array): boolean {
  const scheme = signature("ML-DSA-44");
  const publicKey = device?.signature_public_key ?? new Uint8Array(SIGNATURE_SIZES["ML-DSA-44"].publicKey);
  return scheme.verify(publicKey, message, signed, CONTEXTS.hello) && device !== undefined;
}

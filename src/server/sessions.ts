// Sessions: the server's side of the handshake and of its resumption. Every refusal is the same session.refused,
// whatever its cause; only a suite that is not to be had is told, to a device that has proved itself.

import { concat, equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random, ServerPsk } from "../core/ports.ts";
import type { Encapsulation } from "../crypto/kem.ts";
import { kem } from "../crypto/kem-table.ts";
import { SIGNATURE_SIZES, signature, verifyUnderKey } from "../crypto/signature.ts";
import {
  exchangeKem,
  exchangeSizes,
  isSuiteName,
  kindsOfKeys,
  RESUME_KEM,
  SUITES,
  type Suite,
  type SuiteName,
  suitesOfKinds,
} from "../crypto/suite.ts";
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
  deriveResumed,
  deriveSession,
  deviceConfirmation,
  resumedConfirmation,
  serverConfirmation,
  transcriptHash,
  wipeConfirmationKeys,
  wipeSession,
} from "../wire/handshake.ts";
import { CONTEXTS } from "../wire/labels.ts";
import {
  resumeAnswer,
  resumeBinder,
  resumeChallengeAnswer,
  resumeHello,
  resumeRequest,
  resumeTranscript,
} from "../wire/resume.ts";
import type { ServerKeys } from "./keys.ts";
import { Nonces } from "./nonces.ts";
import type { Device, Registry } from "./registry.ts";
import type { Session, Ticket } from "./session.ts";
import { SessionTable } from "./session-table.ts";
import { SuiteRefused } from "./suite-refused.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface SessionPorts {
  readonly registry: Pick<Registry, "findDevice" | "activate" | "isGone">;
  readonly keys: ServerKeys;
  readonly clock: Clock;
  readonly random: Random;
  /** Allowed suites, preferred first. */
  readonly suites: readonly SuiteName[];
  /** Keys that some devices hold beforehand. */
  readonly psk?: ServerPsk;
  enclaveKeyHash(): Bytes;
}

/** What goes into the keys of a session. */
interface Agreed {
  readonly ephemeral: Encapsulation;
  readonly fixed: Encapsulation;
  readonly shared: { readonly id: Bytes; readonly key: Bytes } | undefined;
}

export class Sessions {
  readonly #ports: SessionPorts;
  readonly #table = new SessionTable();
  readonly #nonces: Nonces;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
    this.#nonces = new Nonces(ports.clock.nowMs());
  }

  get count(): number {
    return this.#table.count;
  }

  find(sessionId: Uint8Array): Session | undefined {
    return this.#table.find(sessionId);
  }

  /** Whose session this is, if it is one. */
  deviceOf(sessionId: Uint8Array): Device | undefined {
    return this.find(sessionId)?.device;
  }

  /** Order: length and form, timestamp, nonce unseen, signature, suite, and only then KEM work. */
  async challenge(encoded: Uint8Array): Promise<Bytes> {
    const { clock, registry } = this.#ports;
    const request = challengeRequest.decode(encoded);
    const hello = helloMessage.decode(request.message);
    const nowMs = clock.nowMs();
    if (!this.#nonces.mayTake(hello.nonce, hello.timestamp, nowMs)) refuse();
    const device = await registry.findDevice(hello.device_id);
    const isSigned = verifyHello(device, request.message, request.signature);
    if (device === undefined || !isSigned || !this.#nonces.take(hello.nonce, hello.timestamp, nowMs)) refuse();
    const suite = this.#suiteOf(hello, device);
    return await this.#answer(device, hello, suite, request);
  }

  /**
   * The device's first wish that this server allows must be the one it brought a key for: else somebody cut the list.
   */
  #suiteOf(hello: Hello, device: Device): Suite {
    const kinds = kindsOfKeys(device.kem_public_key, device.signature_public_key);
    const allowed = kinds === undefined ? [] : suitesOfKinds(kinds, this.#ports.suites);
    const chosen = hello.suites.find((name) => isSuiteName(name) && allowed.includes(name));
    if (chosen === undefined || chosen !== hello.suite) throw new SuiteRefused(allowed, chosen);
    const suite = SUITES[chosen as SuiteName];
    const expected = exchangeSizes(suite.ephemeral).publicKey;
    if (hello.ephemeral_public_key.length !== expected) {
      throw new QflareError("message.malformed", `ephemeral_public_key: expected ${expected} bytes`);
    }
    return suite;
  }

  async #answer(
    device: Device,
    hello: Hello,
    suite: Suite,
    request: { message: Bytes; signature: Bytes },
  ): Promise<Bytes> {
    const shared = await this.#ports.psk?.choose(device.id, hello.psk_ids);
    const secrets = shared === undefined ? [] : [shared.key];
    try {
      const ephemeral = await exchangeKem(suite.ephemeral).encapsulate(hello.ephemeral_public_key);
      secrets.push(ephemeral.sharedSecret);
      const fixed = await kem(suite.static).encapsulate(device.kem_public_key);
      secrets.push(fixed.sharedSecret);
      return this.#settle(device, suite, request, { ephemeral, fixed, shared });
    } finally {
      wipe(...secrets);
    }
  }

  #settle(
    device: Device,
    suite: Suite,
    request: { message: Bytes; signature: Bytes },
    { ephemeral, fixed, shared }: Agreed,
  ): Bytes {
    const { clock, random, keys } = this.#ports;
    const id = random.bytes(SESSION_ID_BYTES);
    const openedAtMs = clock.nowMs();
    const expiresAtMs = openedAtMs + LIMITS.sessionKeyAgeMsMax;
    const message = answerMessage.encode({
      v: 1,
      suite: suite.name,
      session_id: id,
      nonce: random.bytes(NONCE_BYTES),
      expires_at: expiresAtMs,
      ephemeral_ciphertext: ephemeral.ciphertext,
      static_ciphertext: fixed.ciphertext,
      enclave_key_hash: this.#ports.enclaveKeyHash(),
      psk_id: shared?.id ?? null,
    });
    const { publicKey, secretKey } = keys.pairOf(suite.signature);
    const th2 = transcriptHash(request.message, request.signature, message, publicKey);
    const sessionKeys = deriveSession(th2, ephemeral.sharedSecret, fixed.sharedSecret, shared?.key);
    const signed = signature(suite.signature).sign(secretKey, th2, CONTEXTS.answer);
    const confirmation = serverConfirmation(sessionKeys, th2);
    this.#add({
      ...{ id, device, suite: suite.name, keys: sessionKeys, openedAtMs, expiresAtMs },
      confirmation: deviceConfirmation(sessionKeys, th2, signed, confirmation),
      fullUntilMs: openedAtMs + LIMITS.sessionAgeMsMax,
    });
    return challengeAnswer.encode({ message, signature: signed, confirmation });
  }

  /** Order: length and form, ticket, binder, and only then KEM work. The ticket is spent before the first await. */
  async resume(encoded: Uint8Array): Promise<Bytes> {
    const request = resumeRequest.decode(encoded);
    const hello = resumeHello.decode(request.message);
    const ticket = this.#table.ticket(hello.ticket);
    const resumption = concat(ticket?.resumption ?? UNKNOWN_RESUMPTION);
    try {
      const isHolder = equal(resumeBinder(resumption, request.message), request.binder);
      if (ticket === undefined || !isHolder) refuse();
      const isDue = this.#ports.clock.nowMs() >= ticket.fullUntilMs;
      this.#table.dropTicket(ticket);
      if (isDue) refuse();
      return await this.#goOn(ticket, resumption, hello.ephemeral_public_key, request);
    } finally {
      wipe(resumption);
    }
  }

  async #goOn(
    { id: predecessor, device, suite, fullUntilMs }: Ticket,
    resumption: Uint8Array,
    ephemeralKey: Uint8Array,
    request: { message: Bytes; binder: Bytes },
  ): Promise<Bytes> {
    const { clock, random, keys } = this.#ports;
    const ephemeral = await exchangeKem(RESUME_KEM).encapsulate(ephemeralKey);
    const id = random.bytes(SESSION_ID_BYTES);
    const openedAtMs = clock.nowMs();
    const expiresAtMs = Math.min(openedAtMs + LIMITS.sessionKeyAgeMsMax, fullUntilMs);
    const message = resumeAnswer.encode({
      v: 1,
      session_id: id,
      nonce: random.bytes(NONCE_BYTES),
      expires_at: expiresAtMs,
      ephemeral_ciphertext: ephemeral.ciphertext,
      enclave_key_hash: this.#ports.enclaveKeyHash(),
    });
    const { publicKey } = keys.pairOf(SUITES[suite].signature);
    const th2 = resumeTranscript(request.message, request.binder, message, publicKey);
    const sessionKeys = deriveResumed(th2, resumption, ephemeral.sharedSecret);
    const confirmation = serverConfirmation(sessionKeys, th2);
    this.#add({
      ...{ id, device, suite, keys: sessionKeys, openedAtMs, expiresAtMs, fullUntilMs, predecessor },
      confirmation: resumedConfirmation(sessionKeys, th2, confirmation),
    });
    return resumeChallengeAnswer.encode({ message, confirmation });
  }

  /** A device may have been revoked, or have changed its keys, while the answer was made. */
  #add(settled: Parameters<SessionTable["add"]>[0]): void {
    wipeConfirmationKeys(settled.keys);
    try {
      if (this.#ports.registry.isGone(settled.device.id)) refuse();
      this.#table.add(settled);
    } catch (error) {
      wipeSession(settled.keys);
      throw error;
    }
  }

  /** Throws session.refused unless the session lives, or comes to life by this confirmation. */
  use(sessionId: Uint8Array, confirmation: Uint8Array | undefined): Session {
    const session = this.#table.find(sessionId);
    if (session === undefined || session.isStale(this.#ports.clock.nowMs()) || session.isSpent) refuse();
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
    if (session.isClosed) refuse();
    if (!session.isLive) this.#table.enliven(session);
  }

  /** Ends what a device has open; nothing of it resumes. */
  revoke(deviceId: Uint8Array): void {
    this.#table.removeDevice(deviceId);
  }

  sweep(): void {
    this.#table.sweep(this.#ports.clock.nowMs());
  }

  /** Ends all sessions and tickets. */
  close(): void {
    this.#table.clear();
  }
}

/** A ticket that is not there costs a MAC too, so that time does not tell. */
const UNKNOWN_RESUMPTION: Uint8Array = /* @__PURE__ */ new Uint8Array(48);

function refuse(): never {
  throw new QflareError("session.refused");
}

/** An unknown device costs a verification too, so that time does not tell who is enrolled. */
function verifyHello(device: Device | undefined, message: Uint8Array, signed: Uint8Array): boolean {
  const publicKey = device?.signature_public_key ?? unknownKey(signed.length);
  return verifyUnderKey(publicKey, message, signed, CONTEXTS.hello) && device !== undefined;
}

/** Zeros as long as a key of the scheme whose signatures have this length. */
function unknownKey(signatureLength: number): Uint8Array {
  const sizes = Object.values(SIGNATURE_SIZES);
  const { publicKey } = sizes.find((size) => size.signature === signatureLength) ?? sizes[0]!;
  return new Uint8Array(publicKey);
}

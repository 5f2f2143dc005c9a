// Sessions that come and go below a device that goes on: a lost connection, a restarted server, a 429, an expired
// session, used-up keys, a rotated server or a key management entity that is away are waited out, renewed and tried
// again; what cannot get better by waiting is thrown.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, DevicePsk, Random } from "../core/ports.ts";
import { SUITE_NAMES, type SuiteName } from "../crypto/suite.ts";
import { identityMessage } from "../wire/identity.ts";
import { pinOf } from "./enroll.ts";
import { openSession, type SessionOptions } from "./handshake.ts";
import type { OpenKeystore } from "./keystore.ts";
import { followServer, readNextIdentity } from "./pins.ts";
import { resumeSession } from "./resume.ts";
import { type DeviceTicket, RENEWAL_MARGIN_MS, type Session } from "./session.ts";
import { errorOf, RemoteError, Transport, Unreachable } from "./transport.ts";

const WAIT_MS = 100;
const ERROR_BYTES_MAX = 4096;
const WAIT_MS_MAX = 5000;
/** So many refused handshakes in a row mean that this device is not known, or the clocks differ. */
const REFUSALS_MAX = 3;

export interface ConnectionPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly psk?: DevicePsk;
  /** Told before each wait. */
  onRetry(reason: string, waitMs: number): void;
  /** isResumed: new keys for a session that was there before. */
  onSession(session: Session, isResumed: boolean): void;
}

export class Connection {
  readonly #keystore: OpenKeystore;
  readonly #ports: ConnectionPorts;
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  readonly #stop = new AbortController();
  #session: Session | undefined;
  #ticket: DeviceTicket | undefined;
  /** Calls that come at the same time wait for the same handshake. */
  #opening: Promise<Session> | undefined;
  /** The server took this device before; then it may refuse for a while, see isHopeless. */
  #wasTaken = false;

  constructor(keystore: OpenKeystore, ports: ConnectionPorts, suites: readonly SuiteName[] = SUITE_NAMES) {
    this.#keystore = keystore;
    this.#ports = ports;
    const { clock, random, psk } = ports;
    this.#options = { suites, clock, random, ...(psk === undefined ? {} : { psk }) };
    const { url, identity } = keystore.current;
    this.#transport = new Transport(url, pinOf(identityMessage.decode(identity)));
  }

  get isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  /**
   * A protected request, repeated until the server has answered it. plaintext: called for each try. Throws the server's
   * coded refusal.
   */
  async call(
    method: "GET" | "POST",
    path: string,
    plaintext: () => Uint8Array,
    bytesMax: number,
    blob?: Uint8Array,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#persist(async () => {
      const session = await this.#live();
      return await session.call(method, path, plaintext(), bytesMax, blob, this.#stop.signal);
    });
  }

  /**
   * Like call, but the same plaintext each time, and one refused handshake is the answer: for keys of which it is open
   * whether the server knows them.
   */
  async ask(
    method: "GET" | "POST",
    path: string,
    plaintext: Uint8Array,
    bytesMax: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#persist(async () => {
      const session = await this.#live();
      return await session.call(method, path, plaintext, bytesMax, undefined, this.#stop.signal);
    }, 1);
  }

  /**
   * What is asked for and judged by attempt, again with the pauses of call for as long as fewer witnesses than this
   * device wants have cosigned what it is shown: more may, whatever the server itself waits for.
   */
  async untilWitnessed<T>(attempt: () => Promise<T>): Promise<T> {
    return await this.#repeat(attempt, (error, waitMs) => {
      if (!(error instanceof QflareError) || error.code !== "log.witness") return undefined;
      this.#requireOpen();
      return this.#spread(waitMs);
    });
  }

  /** A request outside the session, for what any cache may hold; repeated like call. */
  async get(path: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#persist(async () => {
      const bodyBytesMax = Math.max(bytesMax, ERROR_BYTES_MAX);
      const answer = await this.#transport.call({ method: "GET", path, bodyBytesMax, signal: this.#stop.signal });
      if (answer.status !== 200) throw errorOf(answer);
      if (answer.body.length > bytesMax) throw new QflareError("message.too_large");
      return answer.body;
    });
  }

  /** The keys in the keystore are others now: the next call opens a session with them. */
  forget(): void {
    this.#drop();
    this.#dropTicket();
    this.#wasTaken = false;
  }

  async #live(): Promise<Session> {
    const session = this.#session;
    if (session !== undefined && !session.isDue(this.#ports.clock.nowMs())) return session;
    this.#opening ??= this.#renew().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async #renew(): Promise<Session> {
    this.#drop();
    const resumed = await this.#resume();
    const session = resumed ?? (await this.#open());
    if (this.isClosed) {
      session.close();
      throw new Unreachable("the device is stopping");
    }
    this.#session = session;
    this.#wasTaken = true;
    this.#ports.onSession(session, resumed !== undefined);
    return session;
  }

  /** undefined where a full handshake is due: the server may have forgotten the ticket, or be another one by now. */
  async #resume(): Promise<Session | undefined> {
    const ticket = this.#ticket;
    this.#ticket = undefined;
    if (ticket === undefined) return undefined;
    const { clock, random } = this.#ports;
    try {
      // Keys made in the last minute would be due at once, and so again with every call.
      if (clock.nowMs() >= ticket.fullUntilMs - RENEWAL_MARGIN_MS) return undefined;
      return await resumeSession(this.#transport, ticket, { clock, random });
    } catch (error) {
      if (error instanceof QflareError && error.code !== "request.rate_limited") return undefined;
      throw error;
    } finally {
      ticket.resumption.fill(0);
    }
  }

  async #open(): Promise<Session> {
    try {
      const session = await this.#openFollowing();
      await this.#pinNext();
      return session;
    } catch (error) {
      if (error instanceof QflareError && error.code === "session.refused") throw new HandshakeRefused();
      throw error;
    }
  }

  /** Once more where the server has become the one that it announced. */
  async #openFollowing(): Promise<Session> {
    try {
      return await openSession(this.#transport, this.#keystore.current, this.#options);
    } catch (error) {
      if (!(error instanceof QflareError) || error.code !== "server.identity") throw error;
      if (!(await followServer(this.#transport, this.#keystore))) throw error;
      return await openSession(this.#transport, this.#keystore.current, this.#options);
    }
  }

  async #pinNext(): Promise<void> {
    const { identity, next_identity } = this.#keystore.current;
    if (next_identity !== null) return;
    this.#keystore.replace({ next_identity: await readNextIdentity(this.#transport, identity) });
  }

  #drop(): void {
    const ticket = this.#session?.ticket();
    if (ticket !== undefined) {
      this.#dropTicket();
      this.#ticket = ticket;
    }
    this.#session?.close();
    this.#session = undefined;
  }

  #dropTicket(): void {
    this.#ticket?.resumption.fill(0);
    this.#ticket = undefined;
  }

  async #persist<T>(attempt: () => Promise<T>, refusalsMax = REFUSALS_MAX): Promise<T> {
    const refused: Refusals = { count: 0, countMax: refusalsMax, sinceMs: this.#ports.clock.nowMs() };
    return await this.#repeat(attempt, (error, waitMs) => {
      this.#requireOpen();
      if (error instanceof HandshakeRefused) refused.count += 1;
      return this.#pauseAfter(error, waitMs, refused);
    });
  }

  /** pauseAfter: how long to wait before the next try; undefined where trying again is of no use. */
  async #repeat<T>(
    attempt: () => Promise<T>,
    pauseAfter: (error: unknown, waitMs: number) => number | undefined,
  ): Promise<T> {
    for (let waitMs = WAIT_MS; ; waitMs = Math.min(2 * waitMs, WAIT_MS_MAX)) {
      try {
        return await attempt();
      } catch (error) {
        const pauseMs = pauseAfter(error, waitMs);
        if (pauseMs === undefined) throw error;
        this.#ports.onRetry((error as Error).message, pauseMs);
        await this.#sleep(pauseMs);
        this.#requireOpen();
      }
    }
  }

  #requireOpen(): void {
    if (this.isClosed) throw new QflareError("server.unavailable", "the device is stopping");
  }

  #pauseAfter(error: unknown, waitMs: number, refused: Refusals): number | undefined {
    if (error instanceof Unreachable) return this.#spread(waitMs);
    if (error instanceof HandshakeRefused) return this.#isHopeless(refused) ? undefined : this.#spread(WAIT_MS_MAX);
    if (!(error instanceof QflareError)) return undefined;
    if (error.code === "session.refused") {
      // The server restarted or the session expired: a new one at once.
      this.#drop();
      return 0;
    }
    if (error.code === "request.rate_limited") {
      return (error instanceof RemoteError ? error.retryAfterMs : undefined) ?? WAIT_MS_MAX;
    }
    return error.status >= 500 && error.code !== "server.identity" ? this.#spread(waitMs) : undefined;
  }

  /** So that devices which were refused together do not come back together. */
  #spread(waitMs: number): number {
    return waitMs * (0.5 + this.#ports.random.bytes(1)[0]! / 256);
  }

  /**
   * A server that has just started refuses first messages of before its start, so a clock that is late by what is
   * allowed is refused for as long.
   */
  #isHopeless({ count, countMax, sinceMs }: Refusals): boolean {
    const isOver = this.#ports.clock.nowMs() - sinceMs > LIMITS.clockSkewMsMax;
    return count >= countMax && (!this.#wasTaken || countMax === 1 || isOver);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#stop.signal.addEventListener("abort", done);
      if (this.isClosed) done();
    });
  }

  close(): void {
    this.#stop.abort();
    this.#drop();
    this.#dropTicket();
    this.#transport.close();
  }
}

interface Refusals {
  count: number;
  readonly countMax: number;
  readonly sinceMs: number;
}

/** The server does not take this device's first message. */
class HandshakeRefused extends QflareError {
  constructor() {
    super("session.refused", "the server does not know this device, or its clock differs by more than 5 minutes");
  }
}

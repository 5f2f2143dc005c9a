// Sessions that come and go below a device that goes on: a lost connection, a restarted server, a 429 or an expired
// session are waited out and tried again; what cannot get better by waiting is thrown.

import { QflareError } from "../core/error.ts";
import type { Clock, Random } from "../core/ports.ts";
import { SUITE_NAMES, type SuiteName } from "../crypto/suite.ts";
import { identityMessage } from "../wire/identity.ts";
import { pinOf } from "./enroll.ts";
import type { Keystore } from "./keystore.ts";
import { openSession, type Session } from "./session.ts";
import { errorOf, RemoteError, Transport, Unreachable } from "./transport.ts";

const WAIT_MS = 100;
const ERROR_BYTES_MAX = 4096;
const WAIT_MS_MAX = 5000;
/** A session ends this long before the server would end it. */
const EXPIRY_MARGIN_MS = 60_000;
/** So many refused handshakes in a row mean that this device is not known, or the clocks differ. */
const REFUSALS_MAX = 3;

export interface ConnectionPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Told before each wait. */
  onRetry(reason: string, waitMs: number): void;
  onSession(suite: SuiteName): void;
}

export class Connection {
  readonly #keystore: Keystore;
  readonly #ports: ConnectionPorts;
  readonly #suites: readonly SuiteName[];
  readonly #transport: Transport;
  readonly #stop = new AbortController();
  #session: Session | undefined;

  constructor(keystore: Keystore, ports: ConnectionPorts, suites: readonly SuiteName[] = SUITE_NAMES) {
    this.#keystore = keystore;
    this.#ports = ports;
    this.#suites = suites;
    this.#transport = new Transport(keystore.url, pinOf(identityMessage.decode(keystore.identity)));
  }

  get isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  /** A protected request, repeated until the server has answered it. Throws the server's coded refusal. */
  async call(
    method: "GET" | "POST",
    path: string,
    plaintext: Uint8Array,
    bytesMax: number,
    blob?: Uint8Array,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#persist(async () => {
      const session = await this.#live();
      return await session.call(method, path, plaintext, bytesMax, blob, this.#stop.signal);
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

  async #live(): Promise<Session> {
    const session = this.#session;
    const { clock, random } = this.#ports;
    if (session?.hasRecords && clock.nowMs() < session.expiresAtMs - EXPIRY_MARGIN_MS) return session;
    this.#drop();
    try {
      this.#session = await openSession(this.#transport, this.#keystore, { suites: this.#suites, clock, random });
    } catch (error) {
      if (error instanceof QflareError && error.code === "session.refused") throw new HandshakeRefused();
      throw error;
    }
    this.#ports.onSession(this.#session.suite);
    return this.#session;
  }

  #drop(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    let refusals = 0;
    for (let waitMs = WAIT_MS; ; waitMs = Math.min(2 * waitMs, WAIT_MS_MAX)) {
      try {
        return await attempt();
      } catch (error) {
        if (this.isClosed) throw new QflareError("server.unavailable", "the device is stopping");
        if (error instanceof HandshakeRefused) refusals += 1;
        const pauseMs = this.#pauseAfter(error, waitMs, refusals);
        if (pauseMs === undefined) throw error;
        this.#ports.onRetry((error as Error).message, pauseMs);
        await this.#sleep(pauseMs);
      }
    }
  }

  /** How long to wait before the next try; undefined where trying again is of no use. */
  #pauseAfter(error: unknown, waitMs: number, refusals: number): number | undefined {
    const spread = 0.5 + this.#ports.random.bytes(1)[0]! / 256;
    if (error instanceof Unreachable) return waitMs * spread;
    if (error instanceof HandshakeRefused) return refusals < REFUSALS_MAX ? WAIT_MS_MAX * spread : undefined;
    if (!(error instanceof QflareError)) return undefined;
    if (error.code === "session.refused") {
      // The server restarted or the session expired: a new one at once.
      this.#drop();
      return 0;
    }
    if (error.code === "request.rate_limited") {
      return (error instanceof RemoteError ? error.retryAfterMs : undefined) ?? WAIT_MS_MAX;
    }
    return error.status >= 500 && error.code !== "server.identity" ? waitMs * spread : undefined;
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
    });
  }

  close(): void {
    this.#stop.abort();
    this.#drop();
    this.#transport.close();
  }
}

/** The server does not take this device's first message. */
class HandshakeRefused extends QflareError {
  constructor() {
    super("session.refused", "the server does not know this device, or its clock differs by more than 5 minutes");
  }
}

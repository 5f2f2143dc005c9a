// HTTPS to one server: TLS 1.3 with the hybrid group alone, and the certificate that the token pinned. Nothing is
// sent on a connection before its certificate has been checked.

import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { equal, toHex } from "../core/bytes.ts";
import { isErrorCode, QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";

/**
 * How the server's certificate is judged. "any": for reading its identity, which says nothing secret and is checked
 * after.
 */
export type CertificatePin = { readonly sha256: Uint8Array } | "authorities" | "any";

export const CBOR_HEADERS = { "content-type": "application/cbor" } as const;

const TLS_GROUP = "X25519MLKEM768";
const CONNECT_MS = 10_000;
const ANSWER_MS = 60_000;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Uint8Array<ArrayBuffer>;
}

export interface HttpCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent one behind the other. */
  readonly body?: readonly Uint8Array[];
  readonly bodyBytesMax: number;
  readonly signal?: AbortSignal;
}

/** A failure of the way to the server, not an answer of it: worth trying again. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

class PinnedAgent extends Agent {
  readonly #pin: CertificatePin;

  constructor(pin: CertificatePin) {
    super({ keepAlive: true, maxSockets: 4 });
    this.#pin = pin;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const host = options.host ?? "localhost";
    const socket = connect({
      host,
      port: Number(options.port),
      minVersion: "TLSv1.3",
      ecdhCurve: TLS_GROUP,
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: this.#pin === "authorities",
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const timer = setTimeout(() => socket.destroy(new Error("connecting took too long")), CONNECT_MS);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      if (this.#accepts(socket)) {
        socket.removeListener("error", failed);
        callback?.(null, socket);
      } else {
        socket.destroy();
        callback?.(new QflareError("server.identity", "its certificate is another one"), socket);
      }
    });
    const failed = (error: Error): void => {
      clearTimeout(timer);
      callback?.(error, socket);
    };
    socket.once("error", failed);
    return undefined;
  }

  #accepts(socket: TLSSocket): boolean {
    if (this.#pin === "any") return true;
    if (this.#pin === "authorities") return socket.authorized;
    const { raw } = socket.getPeerCertificate();
    return raw !== undefined && equal(sha256(raw), this.#pin.sha256);
  }
}

export class Transport {
  readonly #base: URL;
  readonly #agent: PinnedAgent;

  /** Throws config.invalid for what is no URL: a token's check of its URL knows no hosts and no ports. */
  constructor(url: string, pin: CertificatePin) {
    if (!URL.canParse(url)) throw new QflareError("config.invalid", `expected the URL of a server, got ${url}`);
    this.#base = new URL(url);
    this.#agent = new PinnedAgent(pin);
  }

  /** Throws Unreachable, server.identity, or message.too_large for an answer over the limit. */
  async call(call: HttpCall): Promise<HttpAnswer> {
    const length = (call.body ?? []).reduce((sum, part) => sum + part.length, 0);
    const request = httpsRequest({
      agent: this.#agent,
      host: this.#base.hostname.replace(/^\[|\]$/g, ""),
      port: this.#base.port === "" ? 443 : this.#base.port,
      method: call.method,
      path: call.path,
      headers: { ...call.headers, ...(call.body === undefined ? {} : { "content-length": String(length) }) },
      timeout: ANSWER_MS,
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    });
    const answered = answerOf(request, call.bodyBytesMax);
    for (const part of call.body ?? []) request.write(part);
    request.end();
    return await answered;
  }

  close(): void {
    this.#agent.destroy();
  }
}

function answerOf(request: ClientRequest, bytesMax: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(error instanceof QflareError ? error : new Unreachable(error.message, { cause: error }));
    };
    request.on("timeout", () => request.destroy(new Error("the answer took too long")));
    request.on("error", fail);
    request.on("response", (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      response.on("data", (piece: Buffer) => {
        length += piece.length;
        if (length <= bytesMax) return void pieces.push(piece);
        // Not by destroying alone: an answer that has come whole ends first, and would be taken without this piece.
        fail(new QflareError("message.too_large", `expected at most ${bytesMax} bytes`));
        request.destroy();
      });
      response.on("error", fail);
      response.on("aborted", () => fail(new Error("the answer broke off")));
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: new Uint8Array(Buffer.concat(pieces)) });
      });
    });
  });
}

/** The coded error that an answer carries. */
export function errorOf(answer: HttpAnswer): QflareError {
  try {
    const { error, message, suites } = JSON.parse(Buffer.from(answer.body).toString()) as Record<string, unknown>;
    const names = Array.isArray(suites) ? suites.map(String) : [];
    if (typeof error === "string" && isErrorCode(error)) return new RemoteError(error, answer, String(message), names);
  } catch {
    // Not ours: a proxy's page, say. The status alone counts then.
  }
  return new QflareError("server.unavailable", `status ${answer.status}, body ${toHex(answer.body.subarray(0, 16))}`);
}

/** What the server answered, with the time that it asked to wait. */
export class RemoteError extends QflareError {
  readonly retryAfterMs: number | undefined;
  /** Those that the server would take, where it refused a suite. */
  readonly suites: readonly string[];

  constructor(code: QflareError["code"], answer: HttpAnswer, text: string, suites: readonly string[] = []) {
    super(code);
    this.message = text;
    this.suites = suites;
    const seconds = Number(answer.headers["retry-after"]);
    this.retryAfterMs = seconds > 0 && seconds <= 3600 ? seconds * 1000 : undefined;
  }
}

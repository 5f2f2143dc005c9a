// HTTP without manners: any method, header and body length, from any address of this machine, over a connection of its
// own. Certificates are not checked: who is asked is the test's own server.

import { once } from "node:events";
import { request as httpsRequest } from "node:https";
import { connect, type TLSSocket } from "node:tls";
import type { HttpAnswer } from "../../src/device/transport.ts";

export interface Place {
  readonly port: number;
}

export interface RawCall {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** Address to call from; all of 127.0.0.0/8 is this machine. */
  readonly from?: string;
}

export const CBOR: Readonly<Record<string, string>> = { "content-type": "application/cbor" };

export async function exchange({ port }: Place, call: RawCall): Promise<HttpAnswer> {
  const length = (call.body ?? []).reduce((sum, part) => sum + part.length, 0);
  const request = httpsRequest({
    agent: false,
    host: "127.0.0.1",
    port,
    method: call.method,
    path: call.path,
    headers: { ...(call.body === undefined ? {} : { "content-length": String(length) }), ...call.headers },
    rejectUnauthorized: false,
    ...(call.from === undefined ? {} : { localAddress: call.from }),
  });
  for (const part of call.body ?? []) request.write(part);
  request.end();
  const [response] = await once(request, "response");
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  const body = new Uint8Array(Buffer.concat(pieces));
  return { status: response.statusCode, headers: response.headers, body };
}

/** Sends bytes as they are, then reads to the end of the connection. cut: leave after sending instead. */
export async function sendRaw({ port }: Place, parts: readonly Uint8Array[], cut = false): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
  await once(socket, "secureConnect");
  for (const part of parts) socket.write(part);
  if (cut) return await leave(socket);
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  socket.on("error", () => socket.destroy());
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return Buffer.concat(pieces).toString("latin1");
}

async function leave(socket: TLSSocket): Promise<string> {
  await new Promise<void>((resolve) => socket.write(new Uint8Array(0), () => resolve()));
  socket.destroy();
  return "";
}

/** The front of a request as bytes. Unless the headers say otherwise, the connection ends with its answer. */
export function requestHead(method: string, path: string, headers: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries({ host: "localhost", connection: "close", ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`);
}

/** What the TLS handshake came to: undefined where it succeeded, else its error. */
export async function handshakeError(
  { port }: Place,
  options: { ecdhCurve?: string; maxVersion?: "TLSv1.2" | "TLSv1.3" },
): Promise<string | undefined> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  return await new Promise((resolve) => {
    socket.once("secureConnect", () => resolve(undefined));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  }).then((result) => {
    socket.destroy();
    return result as string | undefined;
  });
}

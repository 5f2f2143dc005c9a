// The witness's door: plain HTTP, since all that passes is public and signed. TLS, where wanted, is a proxy's.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { fromUtf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Log } from "../core/ports.ts";
import { ADD_CHECKPOINT_BYTES_MAX, ADD_CHECKPOINT_PATH, SIZE_TYPE } from "../wire/witness.ts";
import { SizeConflict, type Witness } from "./witness.ts";

const REQUEST_MS = 10_000;
const TEXT_TYPE = "text/plain; charset=utf-8";
const HTTP_BAD_REQUEST = 400;

export interface ListeningWitness {
  readonly url: string;
  close(): Promise<void>;
}

export async function listenWitness(
  witness: Witness,
  { host, port, log }: { host: string; port: number; log: Log },
): Promise<ListeningWitness> {
  const server = createServer({ requestTimeout: REQUEST_MS }, (request, response) => {
    answer(witness, request).then(
      ({ status, type, body }) => send(response, status, type, body),
      (error: unknown) => refuse(response, error, log),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const { port: taken } = server.address() as { port: number };
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${name}:${taken}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(witness: Witness, request: IncomingMessage): Promise<Answer> {
  const { method, url = "" } = request;
  if (method === "POST" && url === ADD_CHECKPOINT_PATH) {
    return { status: 200, type: TEXT_TYPE, body: witness.addCheckpoint(await bodyOf(request)) };
  }
  const originHash = method === "GET" ? /^\/([0-9a-f]{64})\/checkpoint$/.exec(url)?.[1] : undefined;
  const note = originHash === undefined ? undefined : witness.checkpointOf(originHash);
  if (note === undefined) throw new QflareError("request.not_found");
  return { status: 200, type: TEXT_TYPE, body: note };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > ADD_CHECKPOINT_BYTES_MAX) throw new QflareError("message.too_large");
    pieces.push(piece);
  }
  try {
    return fromUtf8(Buffer.concat(pieces));
  } catch (cause) {
    throw new QflareError("log.malformed", "expected UTF-8", { cause });
  }
}

function refuse(response: ServerResponse, error: unknown, log: Log): void {
  if (error instanceof SizeConflict) {
    send(response, error.status, SIZE_TYPE, `${error.size}\n`);
    return;
  }
  const coded = error instanceof QflareError ? error : new QflareError("server.internal", undefined, { cause: error });
  if (coded !== error) log.error({ error: String(error) }, coded.message);
  // What cannot be read is the sender's fault here, while to a reader of a log it is the log's.
  const status = coded.code === "log.malformed" ? HTTP_BAD_REQUEST : coded.status;
  send(response, status, TEXT_TYPE, `${coded.message}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type }).end(body);
}

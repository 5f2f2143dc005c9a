// The answer to bytes that never became a request: too long, too slow, or no HTTP. Coded like every other, the same for
// each cause, and the last on its connection.

import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, QflareError } from "../core/error.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "request.headers_too_large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "message.too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request.timeout",
};

/** Of Node's event "clientError". */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
  else socket.end(answerOf(CODES[error.code ?? ""] ?? "message.malformed"), () => socket.destroy());
}

function answerOf(code: ErrorCode): string {
  const { status, message } = new QflareError(code);
  const body = JSON.stringify({ error: code, message });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

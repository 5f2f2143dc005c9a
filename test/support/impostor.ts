// A TLS server that is not what it claims to be, and writes down every byte that it is told.

import { once } from "node:events";
import { createServer } from "node:tls";
import type { CertifiedKey } from "../../src/crypto/certificate.ts";
import { makeCertificate } from "../../src/server/certificate.ts";

export interface Impostor {
  readonly url: string;
  readonly certificate: string;
  /** Connections whose TLS handshake went through. */
  readonly connections: () => number;
  /** All that came inside TLS, of all connections together. */
  readonly heard: () => Buffer;
  close(): Promise<void>;
}

/** answers: body by request line, such as "GET /api/identity". What is not among them is never answered. */
export async function startImpostor(
  answers: Readonly<Record<string, Uint8Array>>,
  tls?: CertifiedKey,
): Promise<Impostor> {
  const { certificate, key } = tls ?? (await makeCertificate(["127.0.0.1"]));
  const heard: Buffer[] = [];
  let connections = 0;
  const server = createServer({ cert: certificate, key, ALPNProtocols: ["http/1.1"] }, (socket) => {
    connections += 1;
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece: Buffer) => {
      heard.push(piece);
      const body = answers[piece.toString("latin1").split(" HTTP/")[0]!];
      if (body === undefined) return;
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/cbor\r\ncontent-length: ${body.length}\r\n\r\n`);
      socket.write(body);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${port}`,
    certificate,
    connections: () => connections,
    heard: () => Buffer.concat(heard),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

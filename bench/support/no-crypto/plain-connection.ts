// In place of node:tls in src/device/transport.ts, for bench/security-cost.ts: a TCP connection that acts like one.

import { connect as connectTcp, type Socket } from "node:net";
import type { ConnectionOptions, TLSSocket } from "node:tls";

export type { TLSSocket } from "node:tls";

export function connect({ host, port }: ConnectionOptions): TLSSocket {
  const socket: Socket = connectTcp({ host: host!, port: port! });
  socket.once("connect", () => socket.emit("secureConnect"));
  return socket as TLSSocket;
}

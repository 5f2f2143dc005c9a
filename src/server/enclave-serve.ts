// The other end of a remote enclave: waits for its server, known by a pinned certificate, and gives each connection an
// enclave process of its own. The enclave itself has no network: bytes go between the connection and its streams, and
// nobody here reads them.

import { createServer, type TLSSocket } from "node:tls";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import type { EnclaveChannel, EnclaveHost } from "./enclave-host.ts";
import { isPinned, type LinkIdentity, linkOptions, readPin, shortPin } from "./link-identity.ts";

export interface ServeOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly identity: LinkIdentity;
  /** SHA-256 of the server's certificate, hexadecimal. */
  readonly serverPin: string;
  /** How an enclave process is started on this machine. */
  readonly enclave: EnclaveHost;
  readonly log: Log;
}

export interface ServingEnclave {
  readonly port: number;
  close(): Promise<void>;
}

export async function serveEnclave(options: ServeOptions): Promise<ServingEnclave> {
  const pin = readPin(options.serverPin);
  // One server: a connection that it has forgotten makes room for its next.
  let current: Served | undefined;
  const handshakeTimeout = LIMITS.connectionHandshakeMsMax;
  const own = { ...linkOptions(options.identity), requestCert: true, rejectUnauthorized: false, handshakeTimeout };
  const listener = createServer(own, (socket) => {
    socket.on("error", (error) => options.log.warn({ reason: error.message }, "the connection broke"));
    if (!isPinned(socket, pin)) {
      options.log.warn({ certificate: shortPin(socket) }, "refused: its certificate is not the pinned server's");
      socket.destroy();
      return;
    }
    current?.end();
    current = { end: () => socket.destroy() };
    serve(socket, options).catch((error: unknown) => {
      options.log.error({ error: String(error) }, "the enclave cannot be started");
      socket.destroy();
    });
  });
  const port = await listen(listener, options);
  return {
    port,
    close: async () => {
      current?.end();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

function listen(listener: ReturnType<typeof createServer>, { host, port }: ServeOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once("error", ({ message }) => reject(new QflareError("config.invalid", `listen: ${message}`)));
    listener.listen(port, host, () => {
      const address = listener.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

interface Served {
  end(): void;
}

/** Each end takes the other with it. The frames are cut in the enclave, which leaves where its input ends in one. */
async function serve(socket: TLSSocket, { enclave, log }: ServeOptions): Promise<void> {
  const { child } = await enclave.reach();
  if (socket.destroyed) return void child.kill("SIGKILL");
  log.info({}, "the server is connected");
  relay(socket, child, log);
}

function relay(socket: TLSSocket, child: EnclaveChannel, log: Log): void {
  socket.setKeepAlive(true, LIMITS.connectionIdleMsMax);
  socket.pipe(child.stdin);
  child.stdout.pipe(socket);
  child.stderr.on("data", (chunk: Buffer) => log.warn({}, chunk.toString().trim()));
  child.stdin.on("error", () => socket.destroy());
  child.on("error", () => socket.destroy());
  child.on("close", () => socket.destroy());
  socket.on("close", () => {
    log.info({}, "the server is gone");
    child.kill("SIGKILL");
  });
}

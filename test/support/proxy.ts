// A TCP proxy between device and server that can lose an answer: it delivers a submission whole, then cuts.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** A submission carries a FrodoKEM-640 ciphertext of 9752 bytes; every other request after the handshake is shorter. */
const SUBMISSION_BYTES_MIN = 9752;

export class LossyProxy {
  /** How many more answers to submissions get lost. */
  losses = 0;
  lost = 0;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #targetPort = 0;

  private constructor() {
    this.#listener = createServer((socket) => this.#serve(socket));
  }

  static async open(t: TestContext): Promise<LossyProxy> {
    const proxy = new LossyProxy();
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    t.after(() => proxy.#close());
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  forwardTo(port: number): void {
    this.#targetPort = port;
  }

  #serve(device: Socket): void {
    const server = connect(this.#targetPort, "127.0.0.1");
    let sentBytes = 0;
    const cut = (): void => {
      device.destroy();
      server.destroy();
    };
    for (const socket of [device, server]) {
      this.#sockets.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    device.on("data", (chunk: Buffer) => {
      sentBytes += chunk.length;
      server.write(chunk);
    });
    server.on("data", (chunk: Buffer) => {
      const isReceipt = sentBytes >= SUBMISSION_BYTES_MIN;
      sentBytes = 0;
      if (!isReceipt || this.losses === 0) {
        device.write(chunk);
        return;
      }
      this.losses -= 1;
      this.lost += 1;
      cut();
    });
  }

  #close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

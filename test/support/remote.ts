// An enclave of its own on the other end of a connection, from the real command line, and a way that can be cut.

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { loadLinkIdentity } from "../../src/server/link-identity.ts";
import { Cli } from "./cli.ts";
import { temporaryFolder } from "./folder.ts";

export class RemoteEnclave {
  readonly folder = temporaryFolder();
  readonly #serverPin: string;
  #cli: Cli | undefined;
  port = 0;
  pin = "";

  private constructor(serverPin: string) {
    this.#serverPin = serverPin;
  }

  /** serverFolder: data folder of the server that it is for. */
  static async open(t: TestContext, serverFolder: string): Promise<RemoteEnclave> {
    const remote = new RemoteEnclave((await loadLinkIdentity(serverFolder)).pin);
    t.after(() => remote.kill());
    await remote.start();
    return remote;
  }

  /** Again on the same folder and port, if it ran before. */
  async start(): Promise<void> {
    const where = ["--listen", `127.0.0.1:${this.port}`, "--data-dir", this.folder];
    this.#cli = new Cli(["enclave", "serve", "--json", ...where, "--server-pin", this.#serverPin]);
    const listening = await this.#cli.event("listening");
    this.port = listening.port as number;
    this.pin = listening.pin as string;
  }

  get said(): string {
    return this.#cli!.stderr;
  }

  async kill(): Promise<void> {
    if (this.#cli !== undefined && !this.#cli.hasEnded) await this.#cli.kill();
  }
}

/** Forwards bytes, and cuts a connection once the server has sent so many on it. */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Port that the next connection goes to. */
  target: number;
  /** Of the next connection alone. */
  cutAfter = Number.POSITIVE_INFINITY;
  cuts = 0;
  connections = 0;

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer((near) => this.#join(near, connect(this.target, "127.0.0.1")));
  }

  static async open(t: TestContext, target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    t.after(() => proxy.#close());
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends what goes through it now. */
  cutNow(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: Socket, far: Socket): void {
    this.connections += 1;
    let left = this.cutAfter;
    this.cutAfter = Number.POSITIVE_INFINITY;
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => undefined);
      one.on("close", () => other.destroy());
    }
    far.on("data", (chunk) => near.write(chunk));
    near.on("data", (chunk: Buffer) => {
      far.write(chunk.subarray(0, Math.min(left, chunk.length)));
      left -= chunk.length;
      if (left > 0) return;
      this.cuts += 1;
      setImmediate(() => near.destroy());
    });
  }

  #close(): void {
    this.cutNow();
    this.#server.close();
  }
}

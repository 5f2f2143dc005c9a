// The other end of a running server's administration socket.

import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isErrorCode, QflareError } from "../core/error.ts";
import { ADMIN_SOCKET } from "../server/admin.ts";

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly message?: string;
}

export class AdminClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  #onEvent: ((event: Record<string, unknown>) => void) | undefined;
  #nextId = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => this.#take(JSON.parse(line) as Answer));
    // The reader of lines passes the socket's errors on.
    for (const source of [socket, lines]) source.on("error", () => socket.destroy());
    socket.on("close", () => {
      for (const waiting of this.#waiting.values()) waiting.reject(gone());
    });
  }

  /** Throws server.unavailable where no server runs on this data folder. */
  static async connect(dataDir: string): Promise<AdminClient> {
    const socket = createConnection(join(dataDir, ADMIN_SOCKET));
    try {
      await once(socket, "connect");
    } catch (cause) {
      throw new QflareError("server.unavailable", `no server runs on ${dataDir}`, { cause });
    }
    return new AdminClient(socket);
  }

  async call<T>(method: string, params: object = {}): Promise<T> {
    if (this.#socket.destroyed) throw gone();
    const id = this.#nextId++;
    const answered = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
    return (await answered) as T;
  }

  /** Events of the run from now on. */
  async watch(onEvent: (event: Record<string, unknown>) => void): Promise<void> {
    this.#onEvent = onEvent;
    await this.call("watch");
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(answer: Answer): void {
    if (answer.id === undefined) {
      this.#onEvent?.(answer as Record<string, unknown>);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.error === undefined) waiting?.resolve(answer.result);
    else waiting?.reject(errorOf(answer.error, answer.message ?? ""));
  }
}

function gone(): QflareError {
  return new QflareError("server.unavailable", "it closed the connection");
}

function errorOf(code: string, text: string): QflareError {
  const error = new QflareError(isErrorCode(code) ? code : "server.internal");
  error.message = text;
  return error;
}

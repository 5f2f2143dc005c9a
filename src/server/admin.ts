// Administration over a Unix socket in the data folder, mode 0600: whoever can open it owns the data. One JSON object a
// line: {"id", "method", "params"} in, {"id", "result"} or {"id", "error", "message"} out; after "watch" also events.

import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { fromHex, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Log } from "../core/ports.ts";
import type { Departures } from "./departures.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { EnclaveRegister } from "./enclave-register.ts";
import type { Events } from "./events.ts";
import type { ServerKeyring } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { ModelVault } from "./models.ts";
import type { Registry } from "./registry.ts";
import type { Rotation } from "./rotation.ts";
import type { RunState } from "./run-state.ts";

export const ADMIN_SOCKET = "admin.sock";
const SOCKET_PATH_LENGTH_MAX = 107;
const OTHERS_AND_EXECUTE = 0o177;
const LINE_LENGTH_MAX = 65_536;

export interface AdminPorts {
  readonly registry: Registry;
  readonly departures: Departures;
  readonly rotation: Rotation;
  readonly keys: ServerKeyring;
  readonly state: RunState;
  readonly ledger: Ledger;
  readonly models: ModelVault;
  readonly enclave: EnclaveLink;
  readonly register: EnclaveRegister;
  readonly events: Events;
  readonly log: Log;
  /** Where devices reach this server: stands in every token. */
  readonly url: string;
  stop(): void;
}

export interface Admin {
  /** Takes no more requests and ends the connections. */
  close(): void;
}

type Params = Readonly<Record<string, unknown>>;
type Method = (ports: AdminPorts, params: Params) => Promise<unknown>;

const METHODS: Readonly<Record<string, Method>> = {
  "token.create": async ({ registry, url }, { name, age_ms }) => {
    const made = await registry.createToken(String(name), Number(age_ms), url);
    return { token: made.token, token_id: toHex(made.id), name, expires_at: iso(made.expiresAtMs) };
  },
  "token.list": async ({ registry }) =>
    (await registry.listTokens()).map((row) => ({
      token_id: toHex(row.id),
      name: row.name,
      state: row.state,
      created_at: iso(row.created_at),
      expires_at: iso(row.expires_at),
      device_id: row.device_id === null ? null : toHex(row.device_id),
    })),
  "token.revoke": async ({ registry }, { token_id }) => {
    const id = fromHex(String(token_id));
    if (id === undefined || !(await registry.revokeToken(id))) {
      throw new QflareError("config.invalid", `no open token ${String(token_id).slice(0, 64)}`);
    }
    return { token_id, state: "revoked" };
  },
  "token.cleanup": async ({ registry }) => ({ removed: await registry.removeExpiredTokens() }),
  "device.list": async ({ registry }) =>
    (await registry.listDevices()).map((row) => ({
      device_id: toHex(row.id),
      name: row.name,
      state: row.state,
      enrolled_at: iso(row.enrolled_at),
    })),
  "device.revoke": async ({ departures }, { name }) => {
    const id = await departures.revoke(String(name));
    if (id === undefined) throw new QflareError("config.invalid", `no device ${String(name).slice(0, 64)}`);
    return { device_id: toHex(id), name, state: "revoked" };
  },
  "server.rotate": async ({ rotation, keys }) => {
    await rotation.rotate();
    return { fingerprint: toHex(keys.fingerprint), next_fingerprint: toHex(keys.nextFingerprint) };
  },
  "enclave.announce": async ({ register }, { reference, release_key }) => {
    const key = fromHex(String(release_key)) ?? new Uint8Array(0);
    const { release, program, index } = await register.announce(String(reference), key);
    return { release, program: toHex(program), index };
  },
  status: async ({ state, enclave, url }) => ({
    url,
    pid: process.pid,
    enclave_pid: enclave.pid ?? null,
    isolation: enclave.isAlive ? enclave.facts.isolation : null,
    isolation_raise: enclave.isAlive ? enclave.facts.raise : null,
    round: state.current === undefined ? null : { number: state.current.round, state: state.current.state },
    finished: state.isFinished,
  }),
  "model.read": async ({ ledger, models }, { round }) => {
    const row = round === undefined ? await ledger.newestModel() : await ledger.modelOfRound(Number(round));
    if (row === undefined) throw new QflareError("request.not_found", `no model of round ${String(round)}`);
    const file = await models.readOnce(row);
    return {
      round: row.round,
      model_digest: toHex(row.digest),
      safetensors: Buffer.from(file.buffer).toString("base64"),
    };
  },
  stop: async ({ stop }) => {
    setImmediate(stop);
    return { stopping: true };
  },
};

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Throws config.invalid where the path is too long for a socket. */
export function checkAdminPath(path: string): void {
  if (Buffer.byteLength(path) > SOCKET_PATH_LENGTH_MAX) {
    throw new QflareError("config.invalid", `data-dir: ${path} is longer than ${SOCKET_PATH_LENGTH_MAX} bytes`);
  }
}

/** path: one that checkAdminPath takes. What a killed server left there is replaced. */
export async function openAdmin(path: string, ports: AdminPorts): Promise<Admin> {
  rmSync(path, { force: true });
  const ends = new Set<() => void>();
  const server = createServer((socket) => {
    const end = serve(socket, ports);
    ends.add(end);
    socket.once("close", () => ends.delete(end));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // The socket is made within the call: there is no moment at which others could open it.
    const umask = process.umask(OTHERS_AND_EXECUTE);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(umask);
    }
  });
  return {
    close: () => {
      server.close();
      // Who only watches would keep the process alive; what is being answered still gets out.
      for (const end of ends) end();
    },
  };
}

/** Returns what ends it: no line is read any more, also of a client that does not take its answers. */
function serve(socket: Socket, ports: AdminPorts): () => void {
  let received = 0;
  const stopListening: (() => void)[] = [];
  const send = (value: unknown): void => void socket.write(`${JSON.stringify(value)}\n`);
  const lines = createInterface({ input: socket });
  // The reader of lines passes the socket's errors on: a client that dies must not take the server with it.
  for (const source of [socket, lines]) source.on("error", () => socket.destroy());
  socket.on("close", () => {
    for (const stop of stopListening) stop();
  });
  socket.on("data", (chunk: Buffer) => {
    received = chunk.includes(10) ? 0 : received + chunk.length;
    if (received > LINE_LENGTH_MAX) socket.destroy();
  });
  lines.on("line", async (line) => {
    const { id, answer } = await handle(line, ports);
    if (answer === "watch") {
      stopListening.push(ports.events.listen(send));
      send({ id, result: { watching: true } });
    } else {
      send({ id, ...answer });
    }
  });
  return () => {
    lines.close();
    socket.destroySoon();
  };
}

async function handle(line: string, ports: AdminPorts): Promise<{ id: unknown; answer: "watch" | object }> {
  let id: unknown = null;
  try {
    const request = JSON.parse(line) as { id?: unknown; method?: unknown; params?: Params };
    id = request.id ?? null;
    if (request.method === "watch") return { id, answer: "watch" };
    const name = String(request.method);
    const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
    if (method === undefined) throw new QflareError("request.not_found", `no method ${name.slice(0, 64)}`);
    return { id, answer: { result: await method(ports, request.params ?? {}) } };
  } catch (error) {
    if (error instanceof QflareError) return { id, answer: { error: error.code, message: error.message } };
    if (error instanceof SyntaxError) return { id, answer: { error: "message.malformed", message: "expected JSON" } };
    ports.log.error({ error: String(error) }, "administration failed");
    return { id, answer: { error: "server.internal", message: String(error) } };
  }
}

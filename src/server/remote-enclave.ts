// An enclave on another machine: the frames of a local one over TLS 1.3, both ends known by their pinned certificates.
// A connection that ends is to the server what the end of a process is: the run is opened anew on the next.

import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import type { Tee } from "../attestation/evidence.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { sha256 } from "../crypto/hash.ts";
import type { EnclaveChannel, EnclaveHost, Reached } from "./enclave-host.ts";
import { enclaveProgram } from "./enclave-program.ts";
import { isPinned, type LinkIdentity, linkOptions, readPin } from "./link-identity.ts";

const WAIT_MS = 100;
const WAIT_MS_MAX = 5000;
const ADDRESS = /^tls:\/\/([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})$/;

export interface RemoteAddress {
  readonly host: string;
  readonly port: number;
}

/** text: tls://host:port. Throws config.invalid for anything else. */
export function readAddress(text: string): RemoteAddress {
  const [, host, port] = ADDRESS.exec(text) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new QflareError("config.invalid", `enclave: expected tls://host:port, got ${text.slice(0, 80)}`);
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

export interface RemoteEnclave {
  readonly address: RemoteAddress;
  /** SHA-256 of its certificate, hexadecimal. */
  readonly pin: string;
}

export class RemoteHost implements EnclaveHost {
  readonly tee: Tee | undefined;
  /** This version's own: another program is refused. */
  readonly programDigest: Uint8Array<ArrayBuffer> = sha256(enclaveProgram());
  readonly raise = "what the machine of the enclave lacks";
  readonly #address: RemoteAddress;
  readonly #pin: Uint8Array;
  readonly #identity: LinkIdentity;
  /** Before the next try; grows with each that fails. */
  #waitMs = 0;

  /** tee: hardware that it must be on. */
  constructor({ address, pin }: RemoteEnclave, identity: LinkIdentity, tee: Tee | undefined) {
    this.tee = tee;
    this.#address = address;
    this.#pin = readPin(pin);
    this.#identity = identity;
  }

  async reach(): Promise<Reached> {
    await sleep(this.#waitMs);
    this.#waitMs = Math.min(Math.max(WAIT_MS, 2 * this.#waitMs), WAIT_MS_MAX);
    const socket = await this.#connect();
    return { child: channelOf(socket), pid: Promise.resolve(undefined) };
  }

  /** Whether its key is gone only the enclave can say. */
  lostKey(): undefined {
    return undefined;
  }

  /** The run is open: the next try after this connection is made at once. */
  settle(): void {
    this.#waitMs = 0;
  }

  /** Nothing is sent before the certificate is the pinned one. */
  #connect(): Promise<TLSSocket> {
    const { host, port } = this.#address;
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        socket.destroy();
        reject(new QflareError("enclave.unavailable", `tls://${host}:${port}: ${reason}`));
      };
      // Self-made: known by its pin, not by a name or a certification authority.
      const known = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
      const socket = connect({ host, port, ...linkOptions(this.#identity), ...known });
      socket.setTimeout(LIMITS.connectionHandshakeMsMax, () => fail("it does not answer"));
      socket.once("error", (error) => fail(error.message));
      socket.once("secureConnect", () => {
        if (!isPinned(socket, this.#pin)) return fail("its certificate is not the pinned one");
        socket.setTimeout(0).setKeepAlive(true, LIMITS.connectionIdleMsMax).removeAllListeners("error");
        resolve(socket);
      });
    });
  }
}

function channelOf(socket: TLSSocket): EnclaveChannel {
  const events = new EventEmitter();
  const stderr = new PassThrough();
  let reason = "the connection has ended";
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.on("close", () => {
    channel.signalCode = "SIGHUP";
    stderr.end(`enclave: ${reason}\n`);
    stderr.once("end", () => {
      events.emit("exit", null);
      events.emit("close", null, "SIGHUP");
    });
  });
  const channel = Object.assign(events, {
    stdin: socket,
    stdout: socket,
    stderr,
    exitCode: null as number | null,
    signalCode: null as NodeJS.Signals | null,
    kill: () => socket.destroy().destroyed,
  });
  return channel;
}

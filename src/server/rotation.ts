// Rotation of the server's identity: the one that was announced comes into force, and a new one is announced. Every
// session ends, so that what was signed and what was agreed under the old keys never mixes with the new.
//
// The audit log goes first: one transaction says so, publishes the next keys, and is the first that they sign. Then the
// key file. A crash in between leaves a log that is signed by the announced keys; the next start goes on from there.

import { equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import type { AuditLog } from "./audit.ts";
import { logSignerOf, readOwnCertificate, type ServerKeyring, type StoredServerKeys, writeServerKeys } from "./keys.ts";
import type { Sessions } from "./sessions.ts";
import type { Writer } from "./store/writer.ts";

export interface RotationPorts {
  readonly dataDir: string;
  readonly runId: Uint8Array;
  readonly keys: ServerKeyring;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly sessions: Pick<Sessions, "close">;
  readonly random: Random;
}

export class Rotation {
  readonly #ports: RotationPorts;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(ports: RotationPorts) {
    this.#ports = ports;
  }

  /**
   * Throws config.invalid while another rotation is on its way, and after too many of them; server.unavailable where
   * the server stops.
   */
  async rotate(): Promise<void> {
    if (this.#isClosed) throw new QflareError("server.unavailable");
    if (this.#running !== undefined) throw new QflareError("config.invalid", "a rotation is on its way");
    this.#running = this.#rotate().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  /** Takes no more, and resolves when none is on its way: keys that are wiped would go to disk as zeros. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running?.catch(() => undefined);
  }

  /** Ends the rotation that a crash has cut in two, if there was one. Before anything else is signed. */
  async finish(): Promise<void> {
    if (this.#isHandedOver()) await this.rotate();
  }

  async #rotate(): Promise<void> {
    const { dataDir, keys, sessions, random } = this.#ports;
    const tls = readOwnCertificate(dataDir);
    try {
      const stored = keys.rotated(random, tls);
      await this.#store(stored);
      keys.use(stored);
    } finally {
      if (tls !== null) wipe(tls.key);
    }
    sessions.close();
  }

  async #store(stored: StoredServerKeys): Promise<void> {
    try {
      if (!this.#isHandedOver()) await this.#handOver();
      writeServerKeys(this.#ports.dataDir, stored);
    } catch (error) {
      wipe(stored.next.signature, stored.next.longterm);
      throw error;
    }
  }

  async #handOver(): Promise<void> {
    const { runId, keys, writer, audit } = this.#ports;
    const successor = logSignerOf(keys.nextPair, runId);
    await writer.write(async (tx) => {
      await audit.append(tx, { type: "server.rotated", subject: "server", digest: keys.nextFingerprint });
      await audit.handOver(tx, successor);
    });
  }

  /** Whether the log is signed by the identity that is announced. */
  #isHandedOver(): boolean {
    const { runId, keys, audit } = this.#ports;
    const [next] = logSignerOf(keys.nextPair, runId).keys;
    return next !== undefined && audit.signer.keys.some(({ keyId }) => equal(keyId, next.keyId));
  }
}

// Rotation of the server's identity: the one that was announced comes into force, and a new one is announced. Every
// session ends, so that what was signed and what was agreed under the old keys never mixes with the new.

import { QflareError } from "../core/error.ts";
import type { Random } from "../core/ports.ts";
import type { AuditLog } from "./audit.ts";
import { type ServerKeyring, writeServerKeys } from "./keys.ts";
import type { Sessions } from "./sessions.ts";
import type { Writer } from "./store/writer.ts";

export interface RotationPorts {
  readonly dataDir: string;
  readonly keys: ServerKeyring;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly sessions: Sessions;
  readonly random: Random;
}

export class Rotation {
  readonly #ports: RotationPorts;
  #isRunning = false;

  constructor(ports: RotationPorts) {
    this.#ports = ports;
  }

  /** Throws config.invalid while another rotation is on its way, and after too many of them. */
  async rotate(): Promise<void> {
    if (this.#isRunning) throw new QflareError("config.invalid", "a rotation is on its way");
    this.#isRunning = true;
    try {
      await this.#rotate();
    } finally {
      this.#isRunning = false;
    }
  }

  async #rotate(): Promise<void> {
    const { dataDir, keys, writer, audit, sessions, random } = this.#ports;
    const stored = keys.rotated(random);
    await writer.write(async (tx) => {
      await audit.append(tx, { type: "server.rotated", subject: "server", digest: keys.nextFingerprint });
      // Last, and whole or not at all: a crash before it leaves the old identity, one after it the new.
      writeServerKeys(dataDir, stored);
    });
    keys.use(stored);
    sessions.close();
  }
}

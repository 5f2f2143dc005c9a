// The run's link to its enclave, across restarts of the enclave: opens the run anew from sealed keys and progress, and
// stores what every answer leaves behind.

import type { Kysely } from "kysely";
import { QflareError } from "../core/error.ts";
import type { Clock, Log } from "../core/ports.ts";
import { syncFolder } from "../crypto/secret-file.ts";
import type { EnclaveAnswer, EnclaveOperation, EnclaveRequest } from "../wire/enclave.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { AuditLog } from "./audit.ts";
import { launchEnclave } from "./enclave-launch.ts";
import { EnclaveProcess } from "./enclave-process.ts";
import { requireSealingKey } from "./sealing-key.ts";
import type { Tables } from "./store/schema.ts";
import type { Write, Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface EnclavePorts {
  readonly db: Kysely<Tables>;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Log;
  readonly keyFolder: string;
  readonly policy: Bytes;
}

/** What the enclave said when the run was opened. */
export interface EnclaveFacts {
  readonly signaturePublicKey: Bytes;
  readonly kemKeyHash: Bytes;
  readonly epoch: number;
  readonly isolation: string;
}

export interface EnclaveReply<K extends EnclaveOperation> {
  readonly answer: EnclaveAnswer<K>;
  readonly blob: Uint8Array;
}

const nothing: Write<void> = async () => undefined;

export class EnclaveLink {
  readonly #ports: EnclavePorts;
  #process: EnclaveProcess | undefined;
  #facts: EnclaveFacts | undefined;
  #opening: Promise<void> | undefined;
  #generation = 0;
  #isClosed = false;

  constructor(ports: EnclavePorts) {
    this.#ports = ports;
  }

  /** Grows with every start: what an earlier process was told is forgotten. */
  get generation(): number {
    return this.#generation;
  }

  get facts(): EnclaveFacts {
    if (this.#facts === undefined) throw new QflareError("enclave.unavailable", "no run is open");
    return this.#facts;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get isAlive(): boolean {
    return this.#process?.isAlive ?? false;
  }

  /** Starts the process and opens the run where needed. */
  async ready(): Promise<void> {
    if (this.isAlive && this.#opening === undefined) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  async #open(): Promise<void> {
    const { db, clock, log, keyFolder, policy } = this.#ports;
    if (this.#isClosed) throw new QflareError("enclave.unavailable", "the server is stopping");
    const row = await db.selectFrom("run").selectAll().executeTakeFirstOrThrow();
    const keys = row.enclave_keys;
    const progress = row.enclave_progress;
    const resume = keys === null || progress === null ? null : { keys, progress };
    if (resume !== null) requireSealingKey(keyFolder);
    const child = new EnclaveProcess(launchEnclave(keyFolder), log);
    try {
      this.#facts = await this.#openRun(child, { policy, resume, at: clock.nowMs() });
    } catch (error) {
      child.kill();
      throw error;
    }
    this.#process = child;
    this.#generation += 1;
    log.info({ pid: child.pid, isolation: this.#facts.isolation, resumed: resume !== null }, "enclave is open");
  }

  async #openRun(child: EnclaveProcess, request: EnclaveRequest<"open">): Promise<EnclaveFacts> {
    const { answer } = await child.call("open", request);
    // Before anything sealed under a new key: the enclave has no folder to put on disk.
    syncFolder(this.#ports.keyFolder);
    const { keys, signature_public_key, kem_public_key, epoch, isolation } = answer;
    await this.#store(answer, (tx) =>
      tx.updateTable("run").set({ enclave_keys: keys, enclave_public_key: signature_public_key }).execute(),
    );
    return { signaturePublicKey: signature_public_key, kemKeyHash: epochKeyHash(kem_public_key), epoch, isolation };
  }

  /**
   * One operation. The enclave's audit record and progress are stored in one transaction with what `follow` makes of
   * the reply; without `follow` they go to disk on their own while the next operation runs, always before any later
   * write. Throws the enclave's coded error, or enclave.unavailable where it died: call ready() then and tell it all
   * again.
   */
  async call<K extends Exclude<EnclaveOperation, "open">>(
    operation: K,
    request: EnclaveRequest<K>,
    blob?: Uint8Array,
    follow?: (reply: EnclaveReply<K>) => Promise<Write<unknown>>,
  ): Promise<EnclaveReply<K>> {
    const child = this.#process;
    if (child === undefined || !child.isAlive) throw new QflareError("enclave.unavailable");
    const reply = await child.call(operation, request, blob);
    const stored = this.#storeOrKill(child, reply, follow);
    if (follow !== undefined) await stored;
    else stored.catch(() => undefined);
    return reply;
  }

  /** Where storing fails the process is ahead of the ledger: resuming from stored progress puts both in step again. */
  async #storeOrKill<K extends EnclaveOperation>(
    child: EnclaveProcess,
    reply: EnclaveReply<K>,
    follow: ((reply: EnclaveReply<K>) => Promise<Write<unknown>>) | undefined,
  ): Promise<void> {
    try {
      await this.#store(reply.answer, follow === undefined ? nothing : await follow(reply));
    } catch (error) {
      this.#ports.log.error({ error: String(error) }, "what the enclave answered cannot be stored");
      child.kill();
      throw error;
    }
  }

  async #store(trace: { progress: Bytes; record: Bytes }, also: Write<unknown>): Promise<void> {
    await this.#ports.writer.write(async (tx) => {
      await this.#ports.audit.appendEnclaveRecord(tx, trace.record);
      await tx.updateTable("run").set({ enclave_progress: trace.progress }).execute();
      await also(tx);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    await this.#process?.close();
  }
}

// Group commit: writes that arrive while a transaction is on its way to disk share the next one, as do those that are
// known to come in a moment, and those that nobody waits for. An acknowledged write is on disk; an fsync of some
// milliseconds and the signature of the audit log's checkpoint are paid once for all of them.

import type { Kysely, Transaction } from "kysely";
import type { Log } from "../../core/ports.ts";
import { storeError } from "./database.ts";
import type { Tables } from "./schema.ts";

/** May run twice (see flush): reads and writes through the transaction alone and touches no memory of others. */
export type Write<T> = (tx: Transaction<Tables>) => Promise<T>;

/** Has the last word in every transaction. */
export interface CommitHook {
  /**
   * Returns what is to be done once the transaction is on disk; where it fails, nothing of it has happened. What that
   * throws takes nothing back, so it is logged, and the hook has to do without it in the next transaction.
   */
  beforeCommit(tx: Transaction<Tables>): Promise<() => void>;
}

interface Pending {
  readonly write: Write<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How long a transaction waits for writes that are expected. */
const GATHER_MS = 3;
/** How long a write that nobody waits for does without a transaction. */
const IDLE_MS = 100;

export class Writer {
  readonly #db: Kysely<Tables>;
  readonly #hook: CommitHook;
  readonly #log: Pick<Log, "error">;
  #queue: Pending[] = [];
  #flushing: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #expected = 0;
  /** Ends the waiting for what is expected. */
  #gathered: (() => void) | undefined;
  /** The first that the hook threw since it was last drained. */
  #fault: { readonly error: unknown } | undefined;

  constructor(db: Kysely<Tables>, hook: CommitHook, log: Pick<Log, "error">) {
    this.#db = db;
    this.#hook = hook;
    this.#log = log;
  }

  /** Resolves when the write is on disk. Writes happen in the order of the calls. */
  async write<T>(write: Write<T>): Promise<T> {
    const written = this.#enqueue(write);
    this.#start();
    return await written;
  }

  /** Like write, for what nobody waits for: goes to disk with the next write, or on its own where none comes soon. */
  async writeIdly<T>(write: Write<T>): Promise<T> {
    const written = this.#enqueue(write);
    this.#idle ??= setTimeout(() => this.#start(), IDLE_MS);
    return await written;
  }

  /**
   * A call of write will come in some milliseconds, or never: whoever says so calls what this returns, once. Until then
   * each transaction waits GATHER_MS for it, so it is said where no more is to be done that takes long.
   */
  expect(): () => void {
    this.#expected += 1;
    return () => {
      this.#expected -= 1;
      if (this.#expected === 0) this.#gathered?.();
    };
  }

  /** Resolves when nothing is on its way any more. Throws then what the hook threw first since the last call. */
  async drained(): Promise<void> {
    this.#start();
    while (this.#flushing !== undefined) await this.#flushing;
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault !== undefined) throw fault.error;
  }

  #enqueue<T>(write: Write<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ write, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  #start(): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (this.#queue.length > 0) this.#flushing ??= this.#flushAll();
  }

  async #flushAll(): Promise<void> {
    while (this.#queue.length > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.#gather();
      const batch = this.#queue;
      this.#queue = [];
      await this.#flush(batch);
    }
    this.#flushing = undefined;
  }

  async #gather(): Promise<void> {
    if (this.#expected === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS);
      this.#gathered = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#gathered = undefined;
  }

  /** One transaction for all. Where one write fails, each gets a transaction of its own, so that it fails alone. */
  async #flush(batch: readonly Pending[]): Promise<void> {
    if (await this.#tryWriting(batch)) return;
    for (const pending of batch) await this.#tryWriting([pending]);
  }

  /** False where several were to be written and one failed: then nothing has happened. */
  async #tryWriting(batch: readonly Pending[]): Promise<boolean> {
    let onDisk: { values: unknown[]; committed: () => void };
    try {
      onDisk = await this.#db.transaction().execute(async (tx) => {
        const values: unknown[] = [];
        for (const { write } of batch) values.push(await write(tx));
        return { values, committed: await this.#hook.beforeCommit(tx) };
      });
    } catch (error) {
      if (batch.length > 1) return false;
      batch[0]!.reject(storeError(error));
      return true;
    }
    // What is on disk is done, whatever the hook throws. It has run before anyone who waits goes on.
    for (const [i, pending] of batch.entries()) pending.resolve(onDisk.values[i]);
    try {
      onDisk.committed();
    } catch (error) {
      this.#fault ??= { error };
      this.#log.error({ error: String(error) }, "what follows a commit failed");
    }
    return true;
  }
}

// Group commit: writes that arrive while a transaction is on its way to disk share the next one. An acknowledged
// write is on disk; an fsync of some milliseconds is paid once for all of them.

import type { Kysely, Transaction } from "kysely";
import { storeError } from "./database.ts";
import type { Tables } from "./schema.ts";

/** May run twice (see flush): reads and writes through the transaction alone and touches no memory of others. */
export type Write<T> = (tx: Transaction<Tables>) => Promise<T>;

/** Has the last word in every transaction. */
export interface CommitHook {
  /** Returns what is to be done once the transaction is on disk; where it fails, nothing of it has happened. */
  beforeCommit(tx: Transaction<Tables>): Promise<() => void>;
}

interface Pending {
  readonly write: Write<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class Writer {
  readonly #db: Kysely<Tables>;
  readonly #hook: CommitHook;
  #queue: Pending[] = [];
  #flushing: Promise<void> | undefined;

  constructor(db: Kysely<Tables>, hook: CommitHook) {
    this.#db = db;
    this.#hook = hook;
  }

  /** Resolves when the write is on disk. Writes happen in the order of the calls. */
  write<T>(write: Write<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ write, resolve: resolve as (value: unknown) => void, reject });
      this.#flushing ??= this.#flushAll();
    });
  }

  /** Resolves when nothing is on its way any more. */
  async drained(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flushAll(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      await this.#flush(batch);
    }
    this.#flushing = undefined;
  }

  /** One transaction for all. Where one write fails, each gets a transaction of its own, so that it fails alone. */
  async #flush(batch: readonly Pending[]): Promise<void> {
    try {
      const { values, committed } = await this.#db.transaction().execute(async (tx) => {
        const out: unknown[] = [];
        for (const { write } of batch) out.push(await write(tx));
        return { values: out, committed: await this.#hook.beforeCommit(tx) };
      });
      committed();
      for (const [i, pending] of batch.entries()) pending.resolve(values[i]);
    } catch (error) {
      if (batch.length === 1) batch[0]!.reject(storeError(error));
      else for (const pending of batch) await this.#flush([pending]);
    }
  }
}

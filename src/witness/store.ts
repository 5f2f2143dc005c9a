// What a witness remembers: the last checkpoint of each log. Comparing and replacing is one transaction, so two
// witnesses on one file, or a crash in between, cannot make it sign two histories.

import { DatabaseSync } from "node:sqlite";

export interface StoredCheckpoint {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
}

const BUSY_MS = 5000;

export class WitnessStore {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`);
    this.#database.exec(
      `CREATE TABLE IF NOT EXISTS logs
        (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL)`,
    );
  }

  read(origin: string): StoredCheckpoint | undefined {
    const statement = this.#database.prepare("SELECT size, root, note FROM logs WHERE origin = ?");
    return statement.get(origin) as unknown as StoredCheckpoint | undefined;
  }

  /** What decide returns is on disk when this returns; where it throws, nothing has changed. */
  exchange<T>(origin: string, decide: (last: StoredCheckpoint | undefined) => { next: StoredCheckpoint; value: T }): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const { next, value } = decide(this.read(origin));
      this.#database
        .prepare("INSERT OR REPLACE INTO logs (origin, size, root, note) VALUES (?, ?, ?, ?)")
        .run(origin, next.size, next.root, next.note);
      this.#database.exec("COMMIT");
      return value;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }
}

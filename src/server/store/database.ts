// SQLite through Kysely: node:sqlite behind the interface that Kysely's dialect expects.

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { Kysely, SqliteDialect } from "kysely";
import { QflareError } from "../../core/error.ts";
import { createTables, SCHEMA_VERSION, type Tables } from "./schema.ts";

const BUSY_MS = 5000;

type Statement = Pick<SqliteStatement, "reader" | "all" | "run" | "iterate">;

const NOTHING_TO_ROLL_BACK: Statement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
};

class SqliteStatement {
  readonly reader: boolean;
  readonly #statement: StatementSync;

  constructor(statement: StatementSync) {
    this.#statement = statement;
    this.reader = statement.columns().length > 0;
  }

  all(parameters: readonly unknown[]): unknown[] {
    return this.#statement.all(...(parameters as SQLInputValue[]));
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#statement.run(...(parameters as SQLInputValue[]));
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(...(parameters as SQLInputValue[]));
  }
}

/** Prepared statements are kept: the same few texts come again with every request. */
class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(sql: string): Statement {
    // On a full disk SQLite has rolled back by itself, and the error of a second rollback would hide the first.
    if (sql === "rollback" && !this.#database.isTransaction) return NOTHING_TO_ROLL_BACK;
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = new SqliteStatement(this.#database.prepare(sql));
    this.#statements.set(sql, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}

export interface DatabaseOptions {
  readonly readOnly?: boolean;
}

/**
 * Opens or creates the ledger. Every commit is on disk before it is acknowledged (WAL with synchronous=FULL). Throws
 * store.corrupt for a file that is no whole database, store.version for one of another version of the program.
 */
export async function openDatabase(path: string, options: DatabaseOptions = {}): Promise<Kysely<Tables>> {
  const readOnly = options.readOnly ?? false;
  try {
    const database = new DatabaseSync(path, { readOnly });
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    if (!readOnly) database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    const check = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (check.quick_check !== "ok") throw new QflareError("store.corrupt", `${path}: ${oneLine(check.quick_check)}`);
    const version = readVersion(database, path);
    const connection = new SqliteConnection(database);
    const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: connection }) });
    if (!readOnly) await createTables(db);
    if (!readOnly && version === 0) database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    return db;
  } catch (error) {
    throw storeError(error, path);
  }
}

/** 0 for a ledger that is new: its tables are empty, where the first start ended before they were all there. */
function readVersion(database: DatabaseSync, path: string): number {
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version === SCHEMA_VERSION || (version === 0 && !hasRun(database))) return version;
  throw new QflareError("store.version", `${path}: expected ${SCHEMA_VERSION}, got ${version}`);
}

function hasRun(database: DatabaseSync): boolean {
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'run'").get();
  return table !== undefined && database.prepare("SELECT 1 FROM run").get() !== undefined;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ", ");
}

const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
/** No space on the disk, over a quota, over the process's limit of file size. */
const NO_SPACE: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN. SQLite does not tell which answer of the file system it met. */
const SQLITE_REFUSED: readonly number[] = [8, 10, 14];
/** What a file system answers that is no damage, and may be over a moment later. */
const REFUSED: readonly string[] = ["EACCES", "EBUSY", "EIO", "EMFILE", "ENFILE", "ENOMEM", "EPERM", "EROFS"];

/** The coded form of what SQLite or the file system threw; anything else comes back as it is. */
export function storeError(error: unknown, path?: string): unknown {
  if (!(error instanceof Error)) return error;
  const { errcode, code } = error as { errcode?: number; code?: string };
  const primary = errcode === undefined ? undefined : errcode & 0xff;
  if (primary === SQLITE_CORRUPT || primary === SQLITE_NOTADB) {
    return new QflareError("store.corrupt", path === undefined ? undefined : `${path} is no whole database`, {
      cause: error,
    });
  }
  if (primary === SQLITE_FULL || NO_SPACE.includes(code ?? "")) {
    return new QflareError("store.full", undefined, { cause: error });
  }
  const isRefused = primary === undefined ? REFUSED.includes(code ?? "") : SQLITE_REFUSED.includes(primary);
  if (!isRefused) return error;
  // A path is for the operator alone: other callers give none.
  const what = primary === undefined ? code : error.message;
  return new QflareError("store.unavailable", path === undefined ? what : `${path}: ${what}`, { cause: error });
}

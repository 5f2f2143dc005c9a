// Reading a data folder from outside, whether or not its server runs.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Kysely } from "kysely";
import { LEDGER_FILE } from "../server/data-folder.ts";
import { openDatabase } from "../server/store/database.ts";
import type { Tables } from "../server/store/schema.ts";
import { UsageError } from "./output.ts";

/** Runs the reader on one consistent view of the ledger. */
export async function readLedger<T>(dataDir: string, reader: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
  const path = join(dataDir, LEDGER_FILE);
  if (!existsSync(path)) throw new UsageError(`--data-dir: there is no ${path}`);
  const db = await openDatabase(path, { readOnly: true });
  try {
    return await db.transaction().execute(reader);
  } finally {
    await db.destroy();
  }
}

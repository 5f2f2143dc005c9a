// One server a data folder: two would sweep each other's blobs and drive two enclaves from one state. The lock is
// SQLite's on an empty file, so it ends with the process, however that ends.

import { DatabaseSync } from "node:sqlite";
import { QflareError } from "../../core/error.ts";
import { storeError } from "./database.ts";

const SQLITE_BUSY = 5;

export interface FolderLock {
  /** May be called again. */
  release(): void;
}

/** Throws store.locked where another server holds it. */
export function lockFolder(path: string): FolderLock {
  const database = openFile(path);
  try {
    database.exec("PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    const isHeld = ((cause as { errcode?: number }).errcode ?? 0) === SQLITE_BUSY;
    throw isHeld ? new QflareError("store.locked", path, { cause }) : storeError(cause, path);
  }
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}

function openFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path);
  } catch (error) {
    throw storeError(error, path);
  }
}

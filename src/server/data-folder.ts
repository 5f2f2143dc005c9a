// A server's data folder: what lies in it under which name, and whether what belongs together is there.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { QflareError } from "../core/error.ts";
import { makeFolder } from "../crypto/folder.ts";
import { ADMIN_SOCKET, checkAdminPath } from "./admin.ts";
import { KEY_FILE } from "./keys.ts";
import { storeError } from "./store/database.ts";

export const LEDGER_FILE = "ledger.sqlite";
export const LOCK_FILE = "server.lock";
export const BLOB_FOLDER = "blobs";
/** Where the enclave's sealing key lies. */
export const ENCLAVE_FOLDER = "enclave";
/** Evidence of the enclave, as the server has judged it last. */
export const EVIDENCE_FILE = "evidence.json";

/** Throws config.invalid, or store.* where the disk refuses. */
export function prepareFolder(dataDir: string): void {
  checkAdminPath(join(dataDir, ADMIN_SOCKET));
  makeDataFolder(dataDir);
}

/** Throws config.invalid, or store.* where the disk refuses. */
export function makeDataFolder(dataDir: string): void {
  if (dataDir === "") throw new QflareError("config.invalid", "data-dir: expected a folder, got no name");
  try {
    if (!existsSync(dataDir)) makeFolder(dataDir, 0o700);
  } catch (error) {
    const cause = storeError(error, dataDir);
    if (cause instanceof QflareError) throw cause;
    const { code } = error as NodeJS.ErrnoException;
    throw new QflareError("config.invalid", `data-dir: ${dataDir} cannot be made (${code})`, { cause });
  }
  if (!statSync(dataDir).isDirectory()) throw new QflareError("config.invalid", `data-dir: ${dataDir} is no folder`);
}

/**
 * A first start makes them in this order, so none is there without those before it. One that was lost must not be made
 * anew: devices would find another server, and every blob would look like a leftover. Throws store.corrupt.
 */
export function checkWhole(dataDir: string): void {
  const isThere = [KEY_FILE, LEDGER_FILE, BLOB_FOLDER].map((name) => existsSync(join(dataDir, name)));
  if (isThere[1] && !isThere[0]) throw new QflareError("store.corrupt", `${dataDir} holds a run, but no ${KEY_FILE}`);
  if (isThere[2] && !isThere[1])
    throw new QflareError("store.corrupt", `${dataDir} holds blobs, but no ${LEDGER_FILE}`);
}

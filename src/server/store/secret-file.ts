// A file that holds secrets: mode 0600 from the first byte, whole or not there.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { storeError } from "./database.ts";

export function writeSecretFile(path: string, contents: Uint8Array): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      writeSync(file, contents);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw storeError(error);
  }
}

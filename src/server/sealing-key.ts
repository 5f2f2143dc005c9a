// The enclave's sealing key as the server sees it: a file that is there when it is needed, and that it never reads.

import { statSync } from "node:fs";
import { join } from "node:path";
import { QflareError } from "../core/error.ts";

export const SEALING_KEY_FILE = "sealing.key";

export function hasSealingKey(keyFolder: string): boolean {
  const status = statSync(join(keyFolder, SEALING_KEY_FILE), { throwIfNoEntry: false });
  return status !== undefined && status.size > 0;
}

/** Sealed keys wait for a sealing key that is gone. A new one in its place opens nothing. */
export function missingSealingKey(keyFolder: string): QflareError {
  const path = join(keyFolder, SEALING_KEY_FILE);
  const wayOut = "restore it from a backup, or let the server begin a new epoch with --lost-enclave replace";
  return new QflareError("enclave.state", `expected the sealing key in ${path}, found none; ${wayOut}`);
}

// The enclave's sealing key as the server sees it: a file that is there when it is needed, and that it never reads.

import { statSync } from "node:fs";
import { join } from "node:path";
import { QflareError } from "../core/error.ts";

export const SEALING_KEY_FILE = "sealing.key";

/**
 * Throws enclave.state where sealed keys wait for a sealing key that is gone. A new one in its place would open nothing
 * and hide what to look for: the old file.
 */
export function requireSealingKey(keyFolder: string): void {
  const path = join(keyFolder, SEALING_KEY_FILE);
  const status = statSync(path, { throwIfNoEntry: false });
  if (status !== undefined && status.size > 0) return;
  throw new QflareError("enclave.state", `expected the sealing key in ${path}, found none; restore it from a backup`);
}

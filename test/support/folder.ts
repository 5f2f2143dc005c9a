// Folders for tests.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** Goes at the end of the test: before what the test closes in hooks of its own that it registers later. */
export function folderOf(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "qflare-test-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Goes with the process, when everything is closed: a device writes what it has seen of the log when it is. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "qf-"));
  process.once("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

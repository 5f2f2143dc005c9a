// A folder that lives as long as a test.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

export function folderOf(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "qflare-test-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

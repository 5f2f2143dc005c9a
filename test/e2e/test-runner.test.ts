import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";

const runner = fileURLToPath(new URL("../../scripts/test.ts", import.meta.url));

interface Outcome {
  readonly status: number | null;
  readonly lines: readonly string[];
}

interface Options {
  readonly filters?: readonly string[];
  readonly ci?: boolean;
}

/** files: path under test/ to what stands behind the import of test. */
function runTests(t: TestContext, files: Record<string, string>, { filters = [], ci = false }: Options = {}): Outcome {
  const cwd = mkdtempSync(join(tmpdir(), "qflare-test-"));
  t.after(() => rmSync(cwd, { recursive: true }));
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, "test", path)), { recursive: true });
    writeFileSync(join(cwd, "test", path), `import { test } from "node:test";\n${source}\n`);
  }
  // With the variable of the outer run, the inner one would take itself for a test file.
  const { NODE_TEST_CONTEXT: _, CI: __, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [runner, ...filters], {
    cwd,
    encoding: "utf8",
    env: ci ? { ...env, CI: "true" } : env,
  });
  return { status, lines: stdout.trimEnd().split("\n") };
}

const PASSES = 'test("adds", () => {});';
const FAILS = 'test("breaks", () => { console.log("before"); throw new Error("expected 1, got 2"); });';
const SKIPS = 'test("waits", { skip: "no server" }, () => {});';

test("the closing line adds up all kinds of tests", (t) => {
  const outcome = runTests(t, { "unit/a.test.ts": PASSES, "attack/b.test.ts": PASSES, "unit/c.test.ts": SKIPS });
  assert.equal(outcome.lines.at(-1), "2 passed, 0 failed, 1 skipped");
  assert.equal(outcome.status, 0);
});

test("a failing test fails the run and shows error and output", (t) => {
  const outcome = runTests(t, { "unit/a.test.ts": PASSES, "unit/b.test.ts": FAILS });
  assert.equal(outcome.lines.at(-1), "1 passed, 1 failed, 0 skipped");
  assert.match(outcome.lines.join("\n"), /failed: breaks\n.*expected 1, got 2[\s\S]*printed:\n +before/);
  assert.equal(outcome.status, 1);
});

test("a part that fails counts once, not again for its parent", (t) => {
  const source = 'test("whole", async (t) => { await t.test("part", () => { throw new Error("x"); }); });';
  assert.equal(runTests(t, { "unit/a.test.ts": source }).lines.at(-1), "0 passed, 1 failed, 0 skipped");
});

test("a file that crashes, one that dies late and one without tests fail the run", (t) => {
  const outcome = runTests(t, {
    "unit/a.test.ts": 'throw new Error("crash");',
    "unit/b.test.ts": `${PASSES} process.on("exit", () => { process.exitCode = 7; });`,
    "unit/c.test.ts": "export {};",
  });
  assert.equal(outcome.lines.at(-1), "1 passed, 3 failed, 0 skipped");
  assert.match(outcome.lines.join("\n"), /exit code 7/);
  assert.equal(outcome.status, 1);
});

test("a promise that fails after its test has ended fails the run, which says what it was", (t) => {
  const late = 'test("first", () => { setTimeout(() => void Promise.reject(new Error("too late")), 20); });';
  const next = 'test("second", () => new Promise((resolve) => setTimeout(resolve, 100)));';
  const outcome = runTests(t, { "unit/a.test.ts": `${late} ${next}` });
  assert.equal(outcome.lines.at(-1), "2 passed, 1 failed, 0 skipped");
  assert.match(outcome.lines.join("\n"), /too late/);
});

test("a skipped test fails the run in continuous integration", (t) => {
  const files = { "unit/a.test.ts": `${PASSES} ${SKIPS}` };
  assert.equal(runTests(t, files).status, 0);
  assert.equal(runTests(t, files, { ci: true }).status, 1);
});

test("arguments filter by name", (t) => {
  const files = { "unit/a.test.ts": `${PASSES} ${FAILS}`, "unit/b.test.ts": FAILS };
  const outcome = runTests(t, files, { filters: ["adds"] });
  assert.equal(outcome.lines.at(-1), "1 passed, 0 failed, 0 skipped");
  assert.equal(outcome.status, 0);
});

test("a run without a test fails", (t) => {
  const none = { status: 1, lines: ["0 passed, 0 failed, 0 skipped"] };
  assert.deepEqual(runTests(t, {}), none);
  assert.deepEqual(runTests(t, { "unit/a.test.ts": PASSES }, { filters: ["no such name"] }), none);
});

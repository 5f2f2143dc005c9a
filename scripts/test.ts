// Runs the tests under test/ and ends with one line, `N passed, N failed, N skipped`. Arguments filter by test name.
// Exit 1 where a test failed or none ran and, with CI=true, where one was skipped.

import { globSync } from "node:fs";
import { relative, resolve } from "node:path";
import { run } from "node:test";

interface Stage {
  readonly kinds: readonly string[];
  readonly concurrency: number;
  readonly testMsMax: number;
}

/** Quick ones first; those that start servers and browsers wait for much else than a processor. */
const STAGES: readonly Stage[] = [
  { kinds: ["unit", "vectors", "property"], concurrency: 2, testMsMax: 2 * 60_000 },
  { kinds: ["scenario", "attack", "e2e"], concurrency: 2, testMsMax: 15 * 60_000 },
];

/** node:test waits for ever for a file that leaves a timer or a socket open: a stage silent for longer ends. */
const SILENCE_MS_MAX = 30_000;

interface Event {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly message?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly duration_ms?: number;
    readonly details?: { readonly type?: string; readonly duration_ms: number; readonly error?: Error };
  };
}

const HANGS = "expected it to end, but it hangs or leaves a timer or a socket open";

class FileReport {
  readonly path: string;
  readonly failures: string[] = [];
  readonly skips: string[] = [];
  passed = 0;
  #output = "";
  #isPrinted = false;
  readonly #mayBeEmpty: boolean;

  constructor(path: string, mayBeEmpty: boolean) {
    this.path = path;
    this.#mayBeEmpty = mayBeEmpty;
  }

  take({ type, data }: Event): void {
    if (type === "test:stdout" || type === "test:stderr") this.#output += data.message ?? "";
    // Where a promise fails after its test has ended, only this says so.
    if (type === "test:diagnostic") this.#output += `${data.message}\n`;
    if (type === "test:pass" || type === "test:fail") this.#result(type === "test:pass", data);
    if (type === "test:summary") this.#print(data.duration_ms ?? 0);
  }

  close(): void {
    if (this.#isPrinted) return;
    this.failures.push(`file\n${HANGS}`);
    this.#print(0);
  }

  #result(isPass: boolean, data: Event["data"]): void {
    // A file that has no tests or does not live to report them stands as a test of its own.
    const isFile = resolve(data.name ?? "") === resolve(this.path);
    if (isFile) this.#fileResult(isPass, data);
    else if (!isPass) this.#failure(data);
    else if (data.skip !== undefined || data.todo !== undefined) this.skips.push(data.name ?? "");
    else if (data.details?.type !== "suite") this.passed++;
  }

  #fileResult(isPass: boolean, data: Event["data"]): void {
    if (!isPass) this.failures.push(`file\n${describe(data.details?.error)}${endOf(data.details?.error)}`);
    else if (!this.#mayBeEmpty) this.failures.push("file\nexpected a test, found none");
    this.#print(data.details?.duration_ms ?? 0);
  }

  #failure(data: Event["data"]): void {
    if (!isEcho(data.details?.error)) this.failures.push(`${data.name}\n${describe(data.details?.error)}`);
  }

  #print(milliseconds: number): void {
    this.#isPrinted = true;
    if (this.passed + this.failures.length + this.skips.length === 0) return;
    const mark = this.failures.length > 0 ? "FAIL" : "ok  ";
    const counts = `${this.passed} passed, ${this.failures.length} failed, ${this.skips.length} skipped`;
    console.log(`${mark} ${this.path} ${(milliseconds / 1000).toFixed(1)} s: ${counts}`);
    for (const skip of this.skips) console.log(`  skipped: ${skip}`);
    for (const failure of this.failures) console.log(`  failed: ${indent(failure)}`);
    if (this.failures.length > 0 && this.#output !== "") console.log(`  printed:\n    ${indent(this.#output)}`);
  }
}

function indent(text: string): string {
  return text.trimEnd().replaceAll("\n", "\n    ");
}

/** A parent fails because a part of it did; the part is reported by itself. */
function isEcho(error: Error | undefined): boolean {
  return (error as { failureType?: string } | undefined)?.failureType === "subtestsFailed";
}

function describe(error: Error | undefined): string {
  const cause = error?.cause;
  if (cause instanceof Error && cause.name === "AbortError") return HANGS;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error?.message);
}

/** How the process of a file ended: a crash leaves nothing else. */
function endOf(error: Error | undefined): string {
  const { exitCode, signal } = (error ?? {}) as { exitCode?: number | null; signal?: string | null };
  return typeof signal === "string" ? ` (${signal})` : typeof exitCode === "number" ? ` (exit code ${exitCode})` : "";
}

async function runStage(stage: Stage, filters: readonly string[]): Promise<FileReport[]> {
  const files = stage.kinds.flatMap((kind) => globSync(`test/${kind}/**/*.test.ts`).sort());
  if (files.length === 0) return [];
  const reports = new Map(files.map((file) => [resolve(file), new FileReport(relative("", file), filters.length > 0)]));
  const silence = new AbortController();
  const watchdog = setTimeout(() => silence.abort(), stage.testMsMax + SILENCE_MS_MAX);
  const events = run({
    files,
    concurrency: stage.concurrency,
    timeout: stage.testMsMax,
    signal: silence.signal,
    ...(filters.length > 0 ? { testNamePatterns: [...filters] } : {}),
  });
  for await (const event of events as AsyncIterable<Event>) {
    watchdog.refresh();
    if (event.data.file !== undefined) reports.get(resolve(event.data.file))?.take(event);
  }
  clearTimeout(watchdog);
  for (const report of reports.values()) report.close();
  return [...reports.values()];
}

async function main(filters: readonly string[]): Promise<void> {
  const reports: FileReport[] = [];
  for (const stage of STAGES) reports.push(...(await runStage(stage, filters)));
  const total = (count: (report: FileReport) => number): number => reports.reduce((sum, file) => sum + count(file), 0);
  const passed = total((report) => report.passed);
  const failed = total((report) => report.failures.length);
  const skipped = total((report) => report.skips.length);
  const isSkipFatal = process.env.CI === "true" && skipped > 0;
  if (failed > 0 || passed === 0 || isSkipFatal) process.exitCode = 1;
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

await main(process.argv.slice(2));

// What commands print: one JSON object a line with --json, else text for people. Results go to standard output, logs
// and errors to standard error. Exit code 0: done, 1: failed, 2: used wrongly.

import { styleText } from "node:util";
import { QflareError } from "../core/error.ts";

export interface Output {
  readonly isJson: boolean;
  /** One JSON line with --json; else the text, where there is one. */
  emit(event: object, text?: string): void;
  /** A line that the next one overwrites, on a terminal alone. */
  progress(text: string): void;
}

const CLEAR_LINE = "\r\u001b[K";

/** json: as the command was asked by --json. */
export function createOutput({ json: isJson = false }: { readonly json?: boolean | undefined }): Output {
  const hasTerminal = !isJson && process.stdout.isTTY === true;
  return {
    isJson,
    emit(event, text) {
      const start = hasTerminal ? CLEAR_LINE : "";
      if (isJson) process.stdout.write(`${JSON.stringify(event)}\n`);
      else if (text !== undefined) process.stdout.write(`${start}${text}\n`);
    },
    progress(text) {
      if (hasTerminal) process.stdout.write(`${CLEAR_LINE}${text.slice(0, process.stdout.columns - 1)}`);
    },
  };
}

export function paint(style: Parameters<typeof styleText>[0], text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** What writing to a pipe or terminal says whose other end is gone. */
const READER_GONE: readonly string[] = ["EPIPE", "EIO", "ERR_STREAM_DESTROYED"];

/**
 * Whoever reads along may leave: a service goes on, and a command ends as it would have. Output that is lost for
 * another reason, such as a full disk, fails the command.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (READER_GONE.includes(error.code ?? "") || process.exitCode === 1) return;
      process.exitCode = 1;
      if (stream === process.stdout) process.stderr.write(`qflare: standard output: ${error.message}\n`);
    });
  }
}

/** For mistakes in the call itself. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const SHOWN_LENGTH_MAX = 2000;
/** Controls, what turns the direction of writing, ends of lines. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** For a terminal: what files, servers and arguments say must not steer it. */
export function printable(text: string): string {
  const shown = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}...` : text;
  return shown.replaceAll(UNPRINTABLE, (letter) => `\\u{${letter.codePointAt(0)!.toString(16)}}`);
}

/** What the machine refused: a file, a folder, a process. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}

/** Says one line and sets the exit code; anything else is a fault of ours and keeps its trace. */
export function report(error: unknown): void {
  const isUsage = error instanceof UsageError || (error instanceof QflareError && error.code === "config.invalid");
  if (error instanceof UsageError || error instanceof QflareError || isSystemError(error)) {
    process.stderr.write(`qflare: ${printable(error.message)}\n`);
  } else {
    process.stderr.write(`qflare: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
  process.exitCode = isUsage ? 2 : 1;
}

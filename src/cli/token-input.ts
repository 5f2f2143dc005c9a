// Where a command takes an enrolment token from. What stands on a command line is for everybody on the machine to see,
// so a file or standard input is the better place.

import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { UsageError } from "./output.ts";

const LINE_LENGTH_MAX = 4096;

export interface TokenFlags {
  /** The token itself, or "-" for standard input. */
  readonly token?: string;
  readonly tokenFile?: string;
}

/** undefined where none is given. Throws UsageError where there are two, or none where one should be. */
export async function readToken({ token, tokenFile }: TokenFlags): Promise<string | undefined> {
  if (token !== undefined && tokenFile !== undefined) {
    throw new UsageError("--token and --token-file: expected one of them");
  }
  if (tokenFile !== undefined) return await readFile(tokenFile);
  return token === "-" ? await readStandardInput() : token;
}

async function readStandardInput(): Promise<string> {
  try {
    return await firstLine(process.stdin, "--token -");
  } finally {
    // Whoever wrote the token may keep the pipe open: that is no reason to live on. A file has nothing to let go.
    process.stdin.pause();
    if ("unref" in process.stdin) process.stdin.unref();
  }
}

async function readFile(path: string): Promise<string> {
  const file = createReadStream(path, { end: LINE_LENGTH_MAX });
  try {
    return await firstLine(file, `--token-file: ${path}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === undefined ? error : new UsageError(`--token-file: ${path} cannot be read (${code})`);
  } finally {
    file.destroy();
  }
}

/** Leaves the rest of the input unread: what qflare token create draws below a token is no part of it. */
async function firstLine(input: Readable, place: string): Promise<string> {
  let text = "";
  for await (const chunk of input.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes("\n") || text.length > LINE_LENGTH_MAX) break;
  }
  const line = text.split("\n")[0]!.trim();
  if (line === "" || line.length > LINE_LENGTH_MAX)
    throw new UsageError(`${place}: expected a token in its first line`);
  return line;
}

// Searches the memory of another process for byte strings. Needs to be root, or the parent of a process of the same
// user that has not made itself undumpable.

import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const WINDOW_BYTES = 16 * 2 ** 20;

/** Occurrences of each needle in all memory that the process can have written to. */
export function countInMemory(pid: number, needles: Readonly<Record<string, Uint8Array>>): Record<string, number> {
  const counts = Object.fromEntries(Object.keys(needles).map((name) => [name, 0]));
  const overlap = Math.max(...Object.values(needles).map((needle) => needle.length)) - 1;
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const window = Buffer.alloc(WINDOW_BYTES + overlap);
  try {
    for (const [start, end] of regionsOf(pid)) {
      for (let at = start; at < end; at += WINDOW_BYTES) {
        const read = readAt(memory, window, at, Math.min(window.length, end - at));
        const bytes = window.subarray(0, read);
        for (const [name, needle] of Object.entries(needles)) counts[name]! += countIn(bytes, needle);
      }
    }
  } finally {
    closeSync(memory);
  }
  return counts;
}

function regionsOf(pid: number): [start: number, end: number][] {
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").split("\n");
  // But what no process can write to: programs and libraries, as they lie on disk.
  const readable = lines.filter((line) => /^\S+ r/.test(line) && !/^\S+ r-.* \/|\[v(?:var|syscall)/.test(line));
  return readable.map(
    (line) =>
      line
        .split(" ")[0]!
        .split("-")
        .map((part) => Number.parseInt(part, 16)) as never,
  );
}

/** A region may be gone by now. */
function readAt(file: number, into: Buffer, position: number, length: number): number {
  try {
    return readSync(file, into, 0, length, position);
  } catch (error) {
    if (["EIO", "EFAULT"].includes((error as NodeJS.ErrnoException).code ?? "")) return 0;
    throw error;
  }
}

/** Those that begin before the overlap alone, so that none counts twice. */
function countIn(bytes: Buffer, needle: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(needle); at >= 0 && at < WINDOW_BYTES; at = bytes.indexOf(needle, at + 1)) count += 1;
  return count;
}

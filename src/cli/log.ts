// The log of a long-running command: pino on standard error, whose reader may leave (see outliveReaders).

import { pino } from "pino";
import type { Log } from "../core/ports.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

export function createLog(level: string): Log {
  return pino({ level, base: null }, { write: (line) => void process.stderr.write(line) });
}

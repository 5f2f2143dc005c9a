// The log of a long-running command: pino on standard error.

import { pino } from "pino";
import type { Log } from "../core/ports.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

export function createLog(level: string): Log {
  return pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
}

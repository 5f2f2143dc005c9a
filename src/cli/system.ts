// What commands take from the machine.

import { Option } from "commander";
import type { Clock } from "../core/ports.ts";

export const systemClock: Clock = { nowMs: () => Date.now() };

/** For who is started by another process and must not outlive it, however that ends. */
export function endWithInput(): Option {
  return new Option("--end-with-input", "end as at a SIGTERM where standard input ends").hideHelp();
}

/**
 * Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. withInput: also where standard input
 * ends.
 */
export function interrupted(withInput = false): Promise<void> {
  return new Promise((resolve) => {
    const take = (signal: NodeJS.Signals): void => {
      process.once(signal, () => process.exit(130));
      resolve();
    };
    process.once("SIGINT", take);
    process.once("SIGTERM", take);
    if (withInput) {
      process.stdin.once("close", resolve).once("end", resolve).resume();
      // An input that stays open is no reason to live on: a server that could not start ends all the same.
      if ("unref" in process.stdin) process.stdin.unref();
    }
  });
}

// What commands take from the machine.

import type { Clock } from "../core/ports.ts";

export const systemClock: Clock = { nowMs: () => Date.now() };

/** Resolves at the first SIGINT or SIGTERM. A second one ends the process at once. */
export function interrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const take = (signal: NodeJS.Signals): void => {
      process.once(signal, () => process.exit(130));
      resolve(signal);
    };
    process.once("SIGINT", take);
    process.once("SIGTERM", take);
  });
}

// The operating system's randomness, as the port that the roles take.

import { randomFillSync } from "node:crypto";
import type { Random } from "../core/ports.ts";

export const systemRandom: Random = {
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

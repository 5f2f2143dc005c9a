// The operating system's randomness, as the port that the roles take.

import { randomFillSync } from "node:crypto";
import { ownBytes } from "../core/bytes.ts";
import type { Random } from "../core/ports.ts";

export const systemRandom: Random = {
  bytes: (length) => randomFillSync(ownBytes(length)),
};

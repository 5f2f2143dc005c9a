// The operating system's randomness, as the port that the roles take.

import type { Random } from "../core/ports.ts";
import { PLATFORM } from "./native-platform.ts";

export const systemRandom: Random = {
  bytes: (length) => PLATFORM.randomBytes(length),
};

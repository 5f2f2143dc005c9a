// How a layer refuses an input that it cannot take.

import { QflareError } from "../../core/error.ts";

export function refuse(path: string, expected: string): never {
  throw new QflareError("message.malformed", `${path}: expected ${expected}`);
}

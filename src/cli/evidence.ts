// Files about evidence that people name: which is good enough, and what the vendor says about the platform.

import { type AppraisalPolicy, readPolicy } from "../attestation/policy.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { readBytes, readJson } from "./files.ts";
import { UsageError } from "./output.ts";

/** Throws UsageError or config.invalid. */
export function readEvidencePolicy(path: string, flag: string): AppraisalPolicy {
  return readPolicy(readJson(path, flag, LIMITS.collateralBytesMax));
}

/**
 * Read at every call, since collateral expires and is replaced while a server runs. Throws UsageError where there is
 * none to begin with, collateral.unavailable where it is gone later.
 */
export function collateralReader(path: string, flag: string): () => Uint8Array<ArrayBuffer> {
  const read = (): Uint8Array<ArrayBuffer> => new Uint8Array(readBytes(path, flag, LIMITS.collateralMessageBytesMax));
  read();
  return () => {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof UsageError)) throw cause;
      throw new QflareError("collateral.unavailable", cause.message, { cause });
    }
  };
}

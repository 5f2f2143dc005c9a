// What people name about evidence: which is good enough, whose releases, and what the vendor says about the platform.

import { type AppraisalPolicy, readPolicy } from "../attestation/policy.ts";
import { fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { SHA256_BYTES } from "../crypto/hash.ts";
import { readBytes, readJson, readText } from "./files.ts";
import { UsageError } from "./output.ts";

/** Throws UsageError or config.invalid. */
export function readEvidencePolicy(path: string, flag: string): AppraisalPolicy {
  return readPolicy(readJson(path, flag, LIMITS.collateralBytesMax));
}

/** Name of a release key. Throws UsageError. */
export function readReleaseKey(hex: string): Uint8Array<ArrayBuffer> {
  const key = fromHex(hex);
  if (key?.length === SHA256_BYTES) return key;
  throw new UsageError("--release-key: expected the key's name, 64 hexadecimal digits");
}

/** Text of a file of reference values. Throws UsageError. */
export function readReference(path: string, flag: string): string {
  return readText(path, flag, LIMITS.collateralBytesMax);
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

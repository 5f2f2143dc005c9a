// The known answers of test/vectors/data/frodokem, one file a parameter set.

import { readdirSync, readFileSync } from "node:fs";
import type { FrodoName } from "../../src/crypto/kem.ts";

/** Hexadecimal. seed: of the CTR_DRBG that gives the randomness. */
export interface FrodoVector {
  readonly count: number;
  readonly seed: string;
  readonly pk_sha256: string;
  readonly sk_sha256: string;
  readonly ct_sha256: string;
  readonly ss: string;
}

export interface FrodoVectorFile {
  readonly algorithm: FrodoName;
  readonly sizes: { readonly pk_bytes: number; readonly sk_bytes: number; readonly ct_bytes: number };
  readonly vectors: readonly FrodoVector[];
  readonly full: readonly Record<"seed" | "pk" | "sk" | "ct" | "ss", string>[];
}

export const VECTORS_MIN = 50;

export function readFrodoVectors(): FrodoVectorFile[] {
  const folder = new URL("../vectors/data/frodokem/", import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")));
}

// The one table of suites. It feeds the handshake, the sealed update, the documentation and the tests.

import { type HybridKem, type HybridName, type HybridSizes, hybridKem, hybridSizes } from "./hybrid.ts";
import type { KemName } from "./kem.ts";
import { kemSizes } from "./kem-sizes.ts";
import { kem } from "./kem-table.ts";
import type { SignatureName } from "./signature.ts";

export type SuiteName = "QF1-FRODO" | "QF2-HYBRID";

export interface Suite {
  readonly name: SuiteName;
  /** KEM of the fresh key in the first message: gives forward secrecy. "X25519+" marks the hybrid of hybrid.ts. */
  readonly ephemeral: KemName | HybridName;
  /** KEM of the device's long-term key: proves the device to the server. */
  readonly static: KemName;
  readonly signature: SignatureName;
  /** Hybrid KEM of the enclave's epoch key, to which updates are sealed. */
  readonly update: HybridName;
}

export const SUITES: Readonly<Record<SuiteName, Suite>> = {
  "QF2-HYBRID": {
    name: "QF2-HYBRID",
    ephemeral: "X25519+ML-KEM-768",
    static: "FrodoKEM-640-AES",
    signature: "ML-DSA-44",
    update: "X25519+FrodoKEM-640-AES",
  },
  "QF1-FRODO": {
    name: "QF1-FRODO",
    ephemeral: "FrodoKEM-640-AES",
    static: "FrodoKEM-640-AES",
    signature: "ML-DSA-44",
    update: "X25519+FrodoKEM-640-AES",
  },
};

/** Preferred first. */
export const SUITE_NAMES: readonly SuiteName[] = Object.keys(SUITES) as SuiteName[];
export const DEFAULT_SUITE: SuiteName = "QF2-HYBRID";

export function isSuiteName(name: string): name is SuiteName {
  return Object.hasOwn(SUITES, name);
}

/** What handshake and update need of a KEM, pure or hybrid. */
export interface ExchangeKem extends Pick<HybridKem, "generateKeyPair" | "encapsulate" | "decapsulate"> {
  readonly name: KemName | HybridName;
  readonly sizes: HybridSizes;
}

const HYBRID_PREFIX = "X25519+";

function postQuantumName(name: KemName | HybridName): KemName {
  return (name.startsWith(HYBRID_PREFIX) ? name.slice(HYBRID_PREFIX.length) : name) as KemName;
}

export function exchangeKem(name: KemName | HybridName): ExchangeKem {
  const postQuantum = kem(postQuantumName(name));
  return name.startsWith(HYBRID_PREFIX) ? hybridKem(postQuantum) : postQuantum;
}

export function exchangeSizes(name: KemName | HybridName): HybridSizes {
  const postQuantum = kemSizes(postQuantumName(name));
  return name.startsWith(HYBRID_PREFIX) ? hybridSizes(postQuantum) : postQuantum;
}

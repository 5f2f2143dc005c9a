// The one table of suites. It feeds the handshake, the sealed update, the documentation and the tests.

import { type HybridKem, type HybridName, type HybridSizes, hybridKem, hybridSizes } from "./hybrid.ts";
import type { KemName } from "./kem.ts";
import { kemSizes } from "./kem-sizes.ts";
import { kem } from "./kem-table.ts";
import { SIGNATURE_SIZES, type SignatureName } from "./signature.ts";

export type SuiteName = "QF1-FRODO" | "QF2-HYBRID" | "QF3-LONGTERM";

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

/** Frozen, as it is public: a suite changed here would be another one for the whole process. */
export const SUITES: Readonly<Record<SuiteName, Suite>> = Object.freeze({
  "QF2-HYBRID": Object.freeze({
    name: "QF2-HYBRID",
    ephemeral: "X25519+ML-KEM-768",
    static: "FrodoKEM-640-AES",
    signature: "ML-DSA-44",
    update: "X25519+FrodoKEM-640-AES",
  }),
  "QF1-FRODO": Object.freeze({
    name: "QF1-FRODO",
    ephemeral: "FrodoKEM-640-AES",
    static: "FrodoKEM-640-AES",
    signature: "ML-DSA-44",
    update: "X25519+FrodoKEM-640-AES",
  }),
  // For what must stay secret for decades: FrodoKEM's designers advise the larger parameters for that.
  "QF3-LONGTERM": Object.freeze({
    name: "QF3-LONGTERM",
    ephemeral: "X25519+ML-KEM-1024",
    static: "FrodoKEM-976-AES",
    signature: "ML-DSA-65",
    update: "X25519+FrodoKEM-976-AES",
  }),
});

/** Fresh key of a resumption, whatever the suite: it heals; the secrecy of the full handshake goes on beside it. */
export const RESUME_KEM: HybridName = "X25519+ML-KEM-768";

/** Preferred first. */
export const SUITE_NAMES: readonly SuiteName[] = Object.keys(SUITES) as SuiteName[];
export const DEFAULT_SUITE: SuiteName = "QF2-HYBRID";

export function isSuiteName(name: string): name is SuiteName {
  return Object.hasOwn(SUITES, name);
}

/** What a device's two public keys are of; a suite is open to a device whose keys are of its kinds. */
export type KeyKinds = Pick<Suite, "static" | "signature">;

/** The kinds of two public keys by their lengths, which no two kinds share. undefined where no suite has such. */
export function kindsOfKeys(kemPublicKey: Uint8Array, signaturePublicKey: Uint8Array): KeyKinds | undefined {
  return Object.values(SUITES).find(
    (suite) =>
      kemSizes(suite.static).publicKey === kemPublicKey.length &&
      SIGNATURE_SIZES[suite.signature].publicKey === signaturePublicKey.length,
  );
}

/** Those of the suites that keys of these kinds serve, in their order. */
export function suitesOfKinds(kinds: KeyKinds, suites: readonly SuiteName[]): SuiteName[] {
  return suites.filter((name) => SUITES[name].static === kinds.static && SUITES[name].signature === kinds.signature);
}

/** Lengths that a field must hold whatever the suite, as [least, most]. */
export function lengthsOver(lengthOf: (suite: Suite) => number): [min: number, max: number] {
  const lengths = Object.values(SUITES).map(lengthOf);
  return [Math.min(...lengths), Math.max(...lengths)];
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

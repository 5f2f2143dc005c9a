// Key encapsulation: what every mechanism offers, and the guards that all of them share.

import { QflareError } from "../core/error.ts";
import { checkBytes } from "./argument.ts";

export type FrodoName =
  | "FrodoKEM-640-AES"
  | "FrodoKEM-976-AES"
  | "FrodoKEM-1344-AES"
  | "FrodoKEM-640-SHAKE"
  | "eFrodoKEM-640-AES";
export type MlKemName = "ML-KEM-768" | "ML-KEM-1024";
export type KemName = FrodoName | MlKemName;

/** Bytes. */
export interface KemSizes {
  readonly publicKey: number;
  readonly secretKey: number;
  readonly ciphertext: number;
  readonly sharedSecret: number;
  readonly keygenRandomness: number;
  readonly encapsRandomness: number;
}

export interface KemKeyPair {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly secretKey: Uint8Array<ArrayBuffer>;
}

export interface Encapsulation {
  readonly ciphertext: Uint8Array<ArrayBuffer>;
  readonly sharedSecret: Uint8Array<ArrayBuffer>;
}

/**
 * What is returned is a copy of its own and the caller's to wipe; arguments are neither kept nor changed. Where
 * randomness is given, the result follows from it alone: for known answers, not for use.
 */
export interface SyncKem {
  readonly name: KemName;
  readonly sizes: KemSizes;
  generateKeyPair(randomness?: Uint8Array): KemKeyPair;
  /** Throws kem.length or kem.public_key for a public key that cannot be one. */
  encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Encapsulation;
  /** Throws kem.length; any other ciphertext gives a shared secret, a forged one an unpredictable value. */
  decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** SyncKem for callers that may not block, or that run where only asynchronous primitives exist. */
export interface Kem {
  readonly name: KemName;
  readonly sizes: KemSizes;
  generateKeyPair(randomness?: Uint8Array): Promise<KemKeyPair>;
  encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Promise<Encapsulation>;
  decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
}

export function promised(sync: SyncKem): Kem {
  return {
    name: sync.name,
    sizes: sync.sizes,
    generateKeyPair: async (randomness) => sync.generateKeyPair(randomness),
    encapsulate: async (publicKey, randomness) => sync.encapsulate(publicKey, randomness),
    decapsulate: async (secretKey, ciphertext) => sync.decapsulate(secretKey, ciphertext),
  };
}

/** For what a peer sent. */
export function checkReceived(bytes: Uint8Array, length: number, what: string): void {
  checkBytes(bytes, what);
  if (bytes.length !== length) throw new QflareError("kem.length", mismatch(bytes, length, what));
}

/** For what our own code holds. */
export function checkOwn(bytes: Uint8Array, length: number, what: string): void {
  checkBytes(bytes, what);
  if (bytes.length !== length) throw new RangeError(`Cannot use KEM input: ${mismatch(bytes, length, what)}`);
}

function mismatch(bytes: Uint8Array, length: number, what: string): string {
  return `expected ${what} of ${length} bytes, got ${bytes.length}`;
}

// liboqs as WebAssembly (npm package @oqs/liboqs-js): the work of others to hold ours against, in tests and benchmarks.

import type { KemName } from "../../src/crypto/kem.ts";

/** Sizes, orders of arguments and results are those of the package. */
export interface OqsKem {
  generateKeyPair(): { publicKey: Uint8Array; secretKey: Uint8Array };
  encapsulate(publicKey: Uint8Array): { ciphertext: Uint8Array; sharedSecret: Uint8Array };
  decapsulate(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array;
}

export interface OqsSignature {
  generateKeyPair(): { publicKey: Uint8Array; secretKey: Uint8Array };
  sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array;
  verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean;
}

const PACKAGE: string = "@oqs/liboqs-js";

type Factories = Readonly<Record<string, () => Promise<unknown>>>;

/** undefined where the package is not installed. */
export async function loadLiboqs(): Promise<Liboqs | undefined> {
  try {
    return new Liboqs((await import(PACKAGE)) as Factories);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

export const LIBOQS_MISSING: string = `${PACKAGE} is not installed`;

/** Its factories are named createFrodoKEM640AES, createEFrodoKEM640AES, createMLKEM768, createMLDSA44 ... */
export class Liboqs {
  readonly #factories: Factories;

  constructor(factories: Factories) {
    this.#factories = factories;
  }

  async kem(name: KemName): Promise<OqsKem> {
    return (await this.#create(name)) as OqsKem;
  }

  async signature(name: string): Promise<OqsSignature> {
    return (await this.#create(name)) as OqsSignature;
  }

  async #create(name: string): Promise<unknown> {
    const words = name.replaceAll("-", "");
    const factory = `create${words[0]!.toUpperCase()}${words.slice(1)}`;
    if (!Object.hasOwn(this.#factories, factory)) throw new RangeError(`${PACKAGE} has no ${factory}`);
    return await this.#factories[factory]!();
  }
}

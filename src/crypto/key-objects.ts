// Key objects of node:crypto for raw keys. Making one costs several times its use (ML-KEM-768 from its seed
// 150 us, a decapsulation 35 us): so each array of key bytes keeps its own, for as long as it lives and says the same.

import { createPrivateKey, createPublicKey, hash, type KeyObject } from "node:crypto";
import { equal, takeOver } from "../core/bytes.ts";

/** Forms in which node:crypto reads a raw key. */
type RawFormat = "raw-public" | "raw-seed" | "raw-private";

interface Kept {
  /** SHA-256 of the bytes, which tells an array that was wiped or written anew. The bytes themselves stay nowhere. */
  readonly digest: Uint8Array;
  readonly key: KeyObject;
}

export class KeyObjects {
  readonly #kept = new WeakMap<Uint8Array, Kept>();
  readonly #type: string;
  readonly #format: RawFormat;

  /** type: as node:crypto names it, such as "ml-kem-768". */
  constructor(type: string, format: RawFormat) {
    this.#type = type;
    this.#format = format;
  }

  /** Throws what node:crypto throws for bytes that are no such key. */
  get(bytes: Uint8Array): KeyObject {
    const digest = hash("sha256", bytes, "buffer");
    const kept = this.#kept.get(bytes);
    if (kept !== undefined && equal(kept.digest, digest)) return kept.key;
    const key = this.#make(bytes);
    this.#kept.set(bytes, { digest, key });
    return key;
  }

  /** For a key that node:crypto has just made. */
  keep(bytes: Uint8Array, key: KeyObject): void {
    this.#kept.set(bytes, { digest: hash("sha256", bytes, "buffer"), key });
  }

  #make(bytes: Uint8Array): KeyObject {
    const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const input = { key: raw, format: this.#format, asymmetricKeyType: this.#type } as const;
    return this.#format === "raw-public"
      ? createPublicKey(input as Parameters<typeof createPublicKey>[0])
      : createPrivateKey(input as Parameters<typeof createPrivateKey>[0]);
  }
}

/** The bytes of a public or private key, in memory of their own. */
export function rawKey(key: KeyObject, format: RawFormat): Uint8Array<ArrayBuffer> {
  const exported = (key as unknown as { export(options: { format: RawFormat }): Buffer }).export({ format });
  return takeOver(exported);
}

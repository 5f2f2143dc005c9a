// What FrodoKEM can keep of a public key that comes back: A (from seedA) and pkh, half of the work of an operation.
//
// A key gets a slot when it is seen for the second time, so that the keys of one session never push out a long-lived
// one. Slots lie in linear memory, are bounded in bytes, and the one unused for longest goes first. All of it is
// public.

import { equal, toHex } from "../core/bytes.ts";
import type { FrodoMemory } from "./frodo-kernel.ts";
import type { FrodoMatrix, StripeVisitor } from "./frodo-matrix.ts";
import { SEED_A_BYTES } from "./frodo-parameters.ts";

const SEEN_MAX = 256;

interface Slot {
  readonly address: number;
  readonly publicKey: Uint8Array;
  readonly hash: Uint8Array;
}

export class FrodoCache {
  readonly slotsMax: number;
  readonly #memory: FrodoMemory;
  readonly #matrix: FrodoMatrix;
  readonly #hash: (publicKey: Uint8Array) => Uint8Array;
  /** By seedA; the one used last stands last. */
  readonly #slots = new Map<string, Slot>();
  readonly #seen = new Set<string>();

  constructor(
    memory: FrodoMemory,
    matrix: FrodoMatrix,
    hash: (publicKey: Uint8Array) => Uint8Array,
    cacheBytesMax: number,
  ) {
    if (!(cacheBytesMax >= 0)) throw new RangeError(`Cannot cache: expected 0 bytes or more, got ${cacheBytesMax}`);
    this.#memory = memory;
    this.#matrix = matrix;
    this.#hash = hash;
    this.slotsMax = Math.floor(cacheBytesMax / matrix.matrixBytes);
  }

  get size(): number {
    return this.#slots.size;
  }

  has(publicKey: Uint8Array): boolean {
    return this.#slots.has(slotName(publicKey));
  }

  visit(publicKey: Uint8Array, visit: StripeVisitor): void {
    const slot = this.#use(publicKey);
    if (slot === undefined) this.#matrix.visitOnce(publicKey.subarray(0, SEED_A_BYTES), visit);
    else this.#matrix.visitMade(slot.address, visit);
  }

  /** pkh of the specification. Shared: not to be changed. */
  hash(publicKey: Uint8Array): Uint8Array {
    const slot = this.#slots.get(slotName(publicKey));
    // Another key can carry the same seedA: it has the same A and another hash.
    return slot !== undefined && equal(slot.publicKey, publicKey) ? slot.hash : this.#hash(publicKey);
  }

  #use(publicKey: Uint8Array): Slot | undefined {
    if (this.slotsMax === 0) return undefined;
    const name = slotName(publicKey);
    const slot = this.#slots.get(name) ?? this.#admit(name, publicKey);
    if (slot === undefined) return undefined;
    this.#slots.delete(name);
    this.#slots.set(name, slot);
    return slot;
  }

  #admit(name: string, publicKey: Uint8Array): Slot | undefined {
    if (!this.#seen.delete(name)) {
      this.#remember(name);
      return undefined;
    }
    const address = this.#slots.size < this.slotsMax ? this.#memory.reserve(this.#matrix.matrixBytes) : this.#evict();
    this.#matrix.make(publicKey.subarray(0, SEED_A_BYTES), address);
    return { address, publicKey: new Uint8Array(publicKey), hash: this.#hash(publicKey) };
  }

  #remember(name: string): void {
    for (const oldest of this.#seen) {
      if (this.#seen.size < SEEN_MAX) break;
      this.#seen.delete(oldest);
    }
    this.#seen.add(name);
  }

  /** Returns the address of the slot that is now free. */
  #evict(): number {
    const [name, slot] = this.#slots.entries().next().value!;
    this.#slots.delete(name);
    return slot.address;
  }
}

function slotName(publicKey: Uint8Array): string {
  return toHex(publicKey.subarray(0, SEED_A_BYTES));
}

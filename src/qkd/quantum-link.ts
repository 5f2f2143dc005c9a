// A stand-in for the optical link between two KMEs: both ends hold the same keys, made at a steady rate up to a store
// that fills. Keys come from this machine's randomness, so it shows how things work and protects nothing.

import { toHex, wipe } from "../core/bytes.ts";
import type { Clock, Random } from "../core/ports.ts";

export interface LinkSettings {
  /** Keys of 256 bits. */
  readonly keysPerSecond: number;
  readonly keyCountMax: number;
}

interface Delivery {
  readonly master: string;
  readonly slave: string;
  readonly key: Uint8Array<ArrayBuffer>;
  readonly takenAtMs: number;
}

/** A key that no one fetches is forgotten. */
const WAIT_MS_MAX = 10 * 60_000;
const VERSION_4 = 0x40;
const VARIANT_RFC4122 = 0x80;

export class QuantumLink {
  readonly settings: LinkSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #waiting = new Map<string, Delivery>();
  #stored: number;
  #filledAtMs: number;

  constructor(settings: LinkSettings, clock: Clock, random: Random) {
    this.settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#stored = settings.keyCountMax;
    this.#filledAtMs = clock.nowMs();
  }

  get storedCount(): number {
    this.#fill();
    return Math.floor(this.#stored);
  }

  /** Keys for both ends, or undefined where fewer are stored. bytes: length of each. */
  take(master: string, slave: string, count: number, bytes: number): { id: string; key: Uint8Array }[] | undefined {
    this.#forget();
    if (this.storedCount < count) return undefined;
    this.#stored -= count;
    return Array.from({ length: count }, () => {
      const [id, key] = [uuid(this.#random), this.#random.bytes(bytes)];
      this.#waiting.set(id, { master, slave, key, takenAtMs: this.#clock.nowMs() });
      return { id, key };
    });
  }

  /** What the master took under these names, once; undefined unless all of them wait for this slave. */
  fetch(master: string, slave: string, ids: readonly string[]): Uint8Array[] | undefined {
    this.#forget();
    const found = ids.map((id) => this.#waiting.get(id));
    const isWhole = found.every((delivery) => delivery?.master === master && delivery.slave === slave);
    if (!isWhole || new Set(ids).size !== ids.length) return undefined;
    for (const id of ids) this.#waiting.delete(id);
    return found.map((delivery) => delivery!.key);
  }

  #fill(): void {
    const now = this.#clock.nowMs();
    const { keysPerSecond, keyCountMax } = this.settings;
    this.#stored = Math.min(keyCountMax, this.#stored + ((now - this.#filledAtMs) / 1000) * keysPerSecond);
    this.#filledAtMs = now;
  }

  #forget(): void {
    const now = this.#clock.nowMs();
    for (const [id, { key, takenAtMs }] of this.#waiting) {
      if (now - takenAtMs <= WAIT_MS_MAX) return;
      wipe(key);
      this.#waiting.delete(id);
    }
  }
}

/** RFC 4122 section 4.4. */
function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | VERSION_4;
  bytes[8] = (bytes[8]! & 0x3f) | VARIANT_RFC4122;
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

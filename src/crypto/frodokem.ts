// FrodoKEM: key generation, encapsulation and decapsulation with implicit rejection (FrodoKEM specification 2023-03-14,
// algorithms 12 to 14; letters as there).
//
// Safe against timing as far as the kernel goes: no branch and no address depends on a secret, yet WebAssembly promises
// no constant time. After every operation the secrets in linear memory and in own buffers are wiped; registers, the
// engine's stack and OpenSSL's state are out of reach.

import { concat, wipe } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { FrodoCache } from "./frodo-cache.ts";
import { FrodoMemory } from "./frodo-kernel.ts";
import { FrodoMatrix } from "./frodo-matrix.ts";
import {
  FRODO,
  type FrodoParameters,
  type FrodoPartSizes,
  frodoPartSizes,
  frodoSizes,
  NBAR,
  SEED_A_BYTES,
} from "./frodo-parameters.ts";
import type { FrodoPrimitives } from "./frodo-primitives.ts";
import {
  checkOwn,
  checkReceived,
  type Encapsulation,
  type FrodoName,
  type KemKeyPair,
  type KemSizes,
  type SyncKem,
} from "./kem.ts";

const KEYGEN_DOMAIN = 0x5f;
const ENCAPS_DOMAIN = 0x96;

export interface FrodoOptions {
  /** For A of long-lived keys: 819,200 bytes a key at n = 640. 0 keeps none. */
  readonly cacheBytesMax?: number;
}

/** Addresses in linear memory. All but cdf hold secrets at some time. */
interface Rooms {
  readonly cdf: number;
  /** S (transposed) or S', 8 x n; then, without a gap, errorMatrix and error. */
  readonly secret: number;
  /** E, n x 8, which becomes B; or E', 8 x n, which becomes B'. */
  readonly errorMatrix: number;
  /** E'', 8 x 8, which becomes C. */
  readonly error: number;
  /** B of a public key, n x 8. */
  readonly publicMatrix: number;
  /** B' and C of a ciphertext. */
  readonly received: number;
  /** S of a secret key, transposed. */
  readonly keyS: number;
  /** Of one stripe, as the kernel lays S' for the product. */
  readonly spread: number;
  readonly packed: number;
  readonly m: number;
  readonly mu: number;
  readonly k: number;
  readonly s: number;
  readonly chosen: number;
  readonly end: number;
}

/** One instance, one linear memory: every operation runs to its end before the next one starts. */
export class FrodoKem implements SyncKem {
  readonly name: FrodoName;
  readonly sizes: KemSizes;
  /** Open to tests. */
  readonly memory: FrodoMemory;
  readonly matrix: FrodoMatrix;
  readonly cache: FrodoCache;
  readonly #p: FrodoParameters;
  readonly #parts: FrodoPartSizes;
  readonly #primitives: FrodoPrimitives;
  readonly #rooms: Rooms;

  constructor(name: FrodoName, primitives: FrodoPrimitives, options: FrodoOptions = {}) {
    const p = FRODO[name];
    this.name = name;
    this.sizes = frodoSizes(p);
    this.memory = new FrodoMemory();
    this.#p = p;
    this.#parts = frodoPartSizes(p);
    this.#primitives = primitives;
    this.matrix = new FrodoMatrix(this.memory, p, primitives);
    this.#rooms = layRooms(this.memory, p, this.matrix.stripeRowsMax);
    const cacheBytesMax = options.cacheBytesMax ?? LIMITS.matrixCacheBytesMax;
    this.cache = new FrodoCache(this.memory, this.matrix, (publicKey) => this.#hash(publicKey), cacheBytesMax);
    this.memory.words(this.#rooms.cdf, p.cdf.length).set(p.cdf);
  }

  /** randomness: s, seedSE, z. */
  generateKeyPair(randomness?: Uint8Array): KemKeyPair {
    const drawn = this.#draw(randomness, this.sizes.keygenRandomness);
    return this.#leavingNothing(drawn, () => this.#generateKeyPair(drawn));
  }

  /** randomness: mu, salt. */
  encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Encapsulation {
    checkReceived(publicKey, this.sizes.publicKey, `${this.name} public key`);
    const drawn = this.#draw(randomness, this.sizes.encapsRandomness);
    return this.#leavingNothing(drawn, () => this.#encapsulate(publicKey, drawn));
  }

  decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> {
    checkOwn(secretKey, this.sizes.secretKey, `${this.name} secret key`);
    checkReceived(ciphertext, this.sizes.ciphertext, `${this.name} ciphertext`);
    return this.#leavingNothing(undefined, () => this.#decapsulate(secretKey, ciphertext));
  }

  #generateKeyPair(randomness: Uint8Array): KemKeyPair {
    const { n, D } = this.#p;
    const { secret, errorMatrix, packed } = this.#rooms;
    const { message, seedSE } = this.#parts;
    const { arithmetic } = this.memory;
    const seedA = this.#shake(SEED_A_BYTES, randomness.subarray(message + seedSE));
    this.#sample(KEYGEN_DOMAIN, randomness.subarray(message, message + seedSE), 2 * n * NBAR);
    this.matrix.visitOnce(seedA, (a, rowFirst, rows) =>
      arithmetic.mulAddAS(errorMatrix + 2 * NBAR * rowFirst, a, secret, n, rows),
    );
    arithmetic.pack(packed, errorMatrix, n * NBAR, D);
    const publicKey = concat(seedA, this.memory.view(packed, (n * NBAR * D) / 8));
    const secretS = this.memory.view(secret, 2 * n * NBAR);
    const pkh = this.#hash(publicKey);
    return { publicKey, secretKey: concat(randomness.subarray(0, message), publicKey, secretS, pkh) };
  }

  #encapsulate(publicKey: Uint8Array, randomness: Uint8Array): Encapsulation {
    const { n, D } = this.#p;
    const { errorMatrix, packed, mu, k } = this.#rooms;
    const { message, salt } = this.#parts;
    this.memory.load(mu, randomness.subarray(0, message));
    this.#encrypt(publicKey, this.cache.hash(publicKey), randomness.subarray(message));
    this.memory.arithmetic.pack(packed, errorMatrix, (n + NBAR) * NBAR, D);
    const c = concat(this.memory.view(packed, this.sizes.ciphertext - salt), randomness.subarray(message));
    return { ciphertext: c, sharedSecret: this.#shake(message, c, this.memory.view(k, message)) };
  }

  #decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> {
    const { n, B, D } = this.#p;
    const { errorMatrix, received, keyS, packed, m, mu, k, s, chosen } = this.#rooms;
    const { message, salt } = this.#parts;
    const { arithmetic } = this.memory;
    const key = this.#splitSecretKey(secretKey);
    const count = (n + NBAR) * NBAR;
    this.memory.load(packed, ciphertext.subarray(0, ciphertext.length - salt));
    arithmetic.unpack(received, packed, count, D);
    this.memory.load(keyS, key.S);
    arithmetic.subBS(m, received + 2 * n * NBAR, received, keyS, n);
    arithmetic.decode(mu, m, B, D);
    this.#encrypt(key.publicKey, key.pkh, ciphertext.subarray(ciphertext.length - salt));
    this.memory.load(s, key.s);
    arithmetic.selectIfEqual(chosen, k, s, message, received, errorMatrix, count, D);
    return this.#shake(message, ciphertext, this.memory.view(chosen, message));
  }

  #splitSecretKey(secretKey: Uint8Array): Record<"s" | "publicKey" | "S" | "pkh", Uint8Array> {
    const { message } = this.#parts;
    const { publicKey } = this.sizes;
    const pkhStart = secretKey.length - message;
    return {
      s: secretKey.subarray(0, message),
      publicKey: secretKey.subarray(message, message + publicKey),
      S: secretKey.subarray(message + publicKey, pkhStart),
      pkh: secretKey.subarray(pkhStart),
    };
  }

  /** Encrypts the message at mu: leaves B' at errorMatrix, C at error and k at k. */
  #encrypt(publicKey: Uint8Array, pkh: Uint8Array, salt: Uint8Array): void {
    const { n, B, D } = this.#p;
    const { secret, errorMatrix, error, publicMatrix, spread, packed, mu, k } = this.#rooms;
    const { message, seedSE } = this.#parts;
    const { arithmetic } = this.memory;
    const seeds = this.#shake(seedSE + message, pkh, this.memory.view(mu, message), salt);
    this.memory.load(k, seeds.subarray(seedSE));
    this.#sample(ENCAPS_DOMAIN, seeds.subarray(0, seedSE), (2 * n + NBAR) * NBAR);
    wipe(seeds);
    this.cache.visit(publicKey, (a, rowFirst, rows) =>
      arithmetic.mulAddSA(errorMatrix, a, secret + 2 * rowFirst, spread, n, rows),
    );
    this.memory.load(packed, publicKey.subarray(SEED_A_BYTES));
    arithmetic.unpack(publicMatrix, packed, n * NBAR, D);
    arithmetic.mulAddSB(error, secret, publicMatrix, n);
    arithmetic.addEncoded(error, mu, B, D);
  }

  /** Fills secret, errorMatrix and, where count reaches it, error. */
  #sample(domain: number, seedSE: Uint8Array, count: number): void {
    const { secret, cdf } = this.#rooms;
    const r = this.#shake(2 * count, Uint8Array.of(domain), seedSE);
    this.memory.load(secret, r);
    wipe(r);
    this.memory.arithmetic.sample(secret, count, cdf, this.#p.cdf.length);
  }

  /** pkh. */
  #hash(publicKey: Uint8Array): Uint8Array {
    return this.#primitives.shake(this.#p.shakeBits, publicKey, this.#parts.message);
  }

  #shake(length: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    const input = concat(...parts);
    const out = this.#primitives.shake(this.#p.shakeBits, input, length);
    wipe(input);
    return out;
  }

  /** A copy of its own, or fresh bytes. */
  #draw(randomness: Uint8Array | undefined, length: number): Uint8Array {
    if (randomness === undefined) return this.#primitives.randomBytes(length);
    checkOwn(randomness, length, "randomness");
    return new Uint8Array(randomness); // slice() of a Buffer would be the caller's own bytes
  }

  #leavingNothing<T>(randomness: Uint8Array | undefined, operation: () => T): T {
    try {
      return operation();
    } finally {
      if (randomness !== undefined) wipe(randomness);
      const { secret, end } = this.#rooms;
      wipe(this.memory.view(secret, end - secret));
    }
  }
}

function layRooms(memory: FrodoMemory, { n, B, D, cdf }: FrodoParameters, stripeRowsMax: number): Rooms {
  const matrix = 2 * n * NBAR;
  const square = 2 * NBAR * NBAR;
  const message = (NBAR * NBAR * B) / 8;
  const cdfRoom = memory.reserve(2 * cdf.length);
  const secret = memory.reserve(matrix + matrix + square);
  return {
    cdf: cdfRoom,
    secret,
    errorMatrix: secret + matrix,
    error: secret + 2 * matrix,
    publicMatrix: memory.reserve(matrix),
    received: memory.reserve(matrix + square),
    keyS: memory.reserve(matrix),
    spread: memory.reserve(4 * NBAR * stripeRowsMax),
    packed: memory.reserve(((n + NBAR) * NBAR * D) / 8),
    m: memory.reserve(square),
    mu: memory.reserve(message + 1), // one byte more than it has: the kernel works on 16-bit words
    k: memory.reserve(message),
    s: memory.reserve(message),
    chosen: memory.reserve(message),
    end: memory.reserve(0),
  };
}

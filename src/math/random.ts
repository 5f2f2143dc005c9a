// Seeded pseudo-randomness for partitions, initial weights and batch order. Anyone who sees a few outputs knows the
// rest: never for keys, nonces, tokens or privacy noise.
//
// xoshiro128++ 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47, 2021), its
// state filled by the 32-bit finaliser of MurmurHash3 over seed, label and a Weyl sequence.

function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** FNV-1a over UTF-16 units. */
function hashLabel(label: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < label.length; i++) h = Math.imul(h ^ label.charCodeAt(i), 0x01000193);
  return h;
}

function rotate(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

export class PseudoRandom {
  #s0: number;
  #s1: number;
  #s2: number;
  #s3: number;
  #spare: number | undefined;

  /** seed: a whole number from 0 to 2^53 - 1. label: what the stream is for; streams of one seed are independent. */
  constructor(seed: number, label: string) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`Cannot seed: expected a whole number from 0 to 2^53 - 1, got ${seed}`);
    }
    const low = seed | 0;
    const high = Math.floor(seed / 2 ** 32);
    const purpose = hashLabel(label);
    const word = (i: number): number => mix(purpose + mix(high + mix(low + Math.imul(i, 0x9e3779b9))));
    this.#s0 = word(1);
    this.#s1 = word(2);
    this.#s2 = word(3);
    this.#s3 = word(4) | 1; // the all-zero state has no successor
  }

  /** 0 to 2^32 - 1 */
  uint32(): number {
    const s0 = this.#s0;
    const s1 = this.#s1;
    const result = (rotate(s0 + this.#s3, 7) + s0) >>> 0;
    const s2 = this.#s2 ^ s0;
    const s3 = this.#s3 ^ s1;
    this.#s1 = s1 ^ s2;
    this.#s0 = s0 ^ s3;
    this.#s2 = s2 ^ (s1 << 9);
    this.#s3 = rotate(s3, 11);
    return result;
  }

  /** In [0, 1), a multiple of 2^-53. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A whole number in [0, bound), bound at most 2^32, without bias: rejects the incomplete last stripe. */
  below(bound: number): number {
    const stripe = 2 ** 32 - (2 ** 32 % bound);
    let value = this.uint32();
    while (value >= stripe) value = this.uint32();
    return value % bound;
  }

  /** Standard normal, by the polar method of Marsaglia and Bray (1964). */
  gaussian(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    let u = 0;
    let v = 0;
    let s = 0;
    do {
      u = 2 * this.uniform() - 1;
      v = 2 * this.uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s === 0);
    const scale = Math.sqrt((-2 * Math.log(s)) / s);
    this.#spare = v * scale;
    return u * scale;
  }

  /** Fisher and Yates, in place. */
  shuffle<T extends Int32Array | unknown[]>(values: T): T {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = values[i];
      values[i] = values[j];
      values[j] = held;
    }
    return values;
  }

  /** 0 to n - 1 in random order. */
  permutation(n: number): Int32Array<ArrayBuffer> {
    return this.shuffle(Int32Array.from({ length: n }, (_, i) => i));
  }

  /** Point of the simplex of k shares, symmetric Dirichlet(alpha): a small alpha gives most to a few. */
  dirichlet(alpha: number, k: number): Float64Array<ArrayBuffer> {
    const logs = Float64Array.from({ length: k }, () => this.#logGamma(alpha));
    const top = logs.reduce((a, b) => Math.max(a, b));
    const shares = logs.map((log) => Math.exp(log - top));
    const sum = shares.reduce((a, b) => a + b);
    return shares.map((share) => share / sum);
  }

  /** Logarithm of a Gamma(alpha, 1) variate: for a small alpha the variate itself underflows to 0. */
  #logGamma(alpha: number): number {
    if (alpha >= 1) return Math.log(this.#gamma(alpha));
    return Math.log(this.#gamma(alpha + 1)) + Math.log(1 - this.uniform()) / alpha;
  }

  /** Marsaglia and Tsang, "A simple method for generating gamma variables" (ACM TOMS 26, 2000); alpha >= 1. */
  #gamma(alpha: number): number {
    const d = alpha - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.gaussian();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
    }
  }
}

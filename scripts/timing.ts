// Does decapsulation of FrodoKEM-640-AES tell valid from invalid ciphertexts by its time? Welch's t-test on two classes
// that are drawn at random, over all times and over the fastest shares of them (Reparaz, Balasch, Verbauwhede, "Dude,
// is my code constant time?", DATE 2017). One key; a pool of ciphertexts a class, equal in size, so that caches treat
// both alike. Invalid ones are valid ones with a flipped bit. Usage: node scripts/timing.ts [samples] [seed] [--kernel]
//
// Exit 1 where |t| reaches 4.5: a difference is there. Below it, none was found with so many samples.

import { parseArgs } from "node:util";
import { FrodoKem } from "../src/crypto/frodokem.ts";
import { KernelPrimitives } from "../src/crypto/kernel-primitives.ts";
import { NATIVE_PRIMITIVES } from "../src/crypto/native-primitives.ts";
import { PseudoRandom } from "../src/math/random.ts";

const T_MAX = 4.5;
const POOL = 32;
const WARM_UP = 200;
const SHARES = [1, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1];

/** Mean and sum of squared distances to it, one value at a time (Welford 1962). */
class Moments {
  count = 0;
  mean = 0;
  squares = 0;

  add(value: number): void {
    this.count++;
    const distance = value - this.mean;
    this.mean += distance / this.count;
    this.squares += distance * (value - this.mean);
  }

  /** Variance of the mean. */
  get error(): number {
    return this.squares / (this.count - 1) / this.count;
  }
}

function welchT(x: Moments, y: Moments): number {
  return (x.mean - y.mean) / Math.sqrt(x.error + y.error);
}

interface Samples {
  readonly ns: Float64Array;
  /** 0: valid, 1: invalid. */
  readonly classes: Uint8Array;
}

function flipped(ciphertext: Uint8Array, random: PseudoRandom): Uint8Array {
  const out = ciphertext.slice();
  out[random.below(out.length)]! ^= 1 << random.below(8);
  return out;
}

function measure(kem: FrodoKem, count: number, random: PseudoRandom): Samples {
  const { publicKey, secretKey } = kem.generateKeyPair();
  const valid = Array.from({ length: POOL }, () => kem.encapsulate(publicKey).ciphertext);
  const pools = [valid, valid.map((ciphertext) => flipped(ciphertext, random))];
  const ns = new Float64Array(count);
  const classes = new Uint8Array(count);
  for (let i = -WARM_UP; i < count; i++) {
    const kind = random.below(2);
    const ciphertext = pools[kind]![random.below(POOL)]!;
    const start = process.hrtime.bigint();
    kem.decapsulate(secretKey, ciphertext);
    const time = process.hrtime.bigint() - start;
    if (i < 0) continue;
    ns[i] = Number(time);
    classes[i] = kind;
  }
  return { ns, classes };
}

/** t over the samples that took no longer than the fastest share of all. */
function croppedT({ ns, classes }: Samples, sorted: Float64Array, share: number): number {
  const limit = sorted[Math.ceil(share * sorted.length) - 1]!;
  const moments = [new Moments(), new Moments()] as const;
  for (const [i, time] of ns.entries()) if (time <= limit) moments[classes[i] as 0 | 1].add(time);
  return welchT(...moments);
}

function main(): void {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { kernel: { type: "boolean", default: false } },
  });
  const [count, seed] = [Number(positionals[0] ?? 20_000), Number(positionals[1] ?? 1)];
  const kem = new FrodoKem("FrodoKEM-640-AES", values.kernel ? new KernelPrimitives() : NATIVE_PRIMITIVES);
  const samples = measure(kem, count, new PseudoRandom(seed, "timing"));
  const sorted = samples.ns.toSorted();
  console.log(`${count} decapsulations, median ${(sorted[count >> 1]! / 1000).toFixed(1)} us`);
  let worst = 0;
  for (const share of SHARES) {
    const t = croppedT(samples, sorted, share);
    console.log(`fastest ${(100 * share).toFixed(0).padStart(3)} %  t ${t.toFixed(2).padStart(6)}`);
    worst = Math.max(worst, Math.abs(t));
  }
  const verdict = worst < T_MAX ? "no difference found" : "valid and invalid ciphertexts differ in time";
  console.log(`largest |t| ${worst.toFixed(2)}, limit ${T_MAX}: ${verdict}`);
  if (!(worst < T_MAX)) process.exitCode = 1;
}

main();

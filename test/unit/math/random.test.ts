import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PseudoRandom } from "../../../src/math/random.ts";

function moments(draw: () => number, n: number): { mean: number; variance: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const value = draw();
    sum += value;
    squares += value * value;
  }
  const mean = sum / n;
  return { mean, variance: squares / n - mean * mean };
}

function near(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `expected ${expected} within ${tolerance}, got ${actual}`);
}

describe("seeded pseudo-randomness", () => {
  it("repeats for the same seed and label, and differs for another of either", () => {
    const draw = (seed: number, label: string) => {
      const random = new PseudoRandom(seed, label);
      return [random.uint32(), random.uint32(), random.uint32()];
    };
    assert.deepEqual(draw(7, "batches"), draw(7, "batches"));
    const streams = [draw(7, "batches"), draw(8, "batches"), draw(7 + 2 ** 32, "batches"), draw(7, "weights")];
    assert.equal(new Set(streams.map(String)).size, streams.length);
  });

  it("follows the recurrence of xoshiro128++", () => {
    // A slow twin in BigInt that starts from the state found by running the generator's own seeding.
    const mask = 0xffffffffn;
    const rotl = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & mask;
    const mix = (x: number) => {
      let y = BigInt(x) & mask;
      y = ((y ^ (y >> 16n)) * 0x85ebca6bn) & mask;
      y = ((y ^ (y >> 13n)) * 0xc2b2ae35n) & mask;
      return Number(y ^ (y >> 16n));
    };
    let label = 0x811c9dc5n;
    for (const character of "twin") label = ((label ^ BigInt(character.charCodeAt(0))) * 0x01000193n) & mask;
    const word = (i: number) =>
      BigInt(mix(Number(label) + mix(0 + mix(42 + Number((BigInt(i) * 0x9e3779b9n) & mask)))));
    const s = [word(1), word(2), word(3), word(4) | 1n];
    const random = new PseudoRandom(42, "twin");
    for (let i = 0; i < 1000; i++) {
      const expected = (rotl((s[0] + s[3]) & mask, 7n) + s[0]) & mask;
      const t = (s[1] << 9n) & mask;
      s[2] ^= s[0];
      s[3] ^= s[1];
      s[1] ^= s[2];
      s[0] ^= s[3];
      s[2] ^= t;
      s[3] = rotl(s[3], 11n);
      assert.equal(random.uint32(), Number(expected));
    }
  });

  it("draws uniforms and normals with their mean and variance", () => {
    const random = new PseudoRandom(1, "moments");
    const uniform = moments(() => random.uniform(), 100_000);
    near(uniform.mean, 0.5, 0.005);
    near(uniform.variance, 1 / 12, 0.002);
    const normal = moments(() => random.gaussian(), 100_000);
    near(normal.mean, 0, 0.015);
    near(normal.variance, 1, 0.02);
  });

  it("draws whole numbers below a bound, each about as often", () => {
    const random = new PseudoRandom(2, "below");
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.below(7)]++;
    for (const count of counts) near(count, 10_000, 400);
  });

  it("shuffles into a permutation", () => {
    const order = new PseudoRandom(3, "order").permutation(1000);
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.notEqual(order[0] + order[1] + order[2], 3);
  });

  it("draws Dirichlet shares with the variance of the distribution, also where gamma variates underflow", () => {
    for (const alpha of [0.001, 0.3, 1, 10]) {
      const random = new PseudoRandom(4, `dirichlet ${alpha}`);
      const k = 5;
      const share = moments(() => {
        const shares = random.dirichlet(alpha, k);
        near(
          shares.reduce((a, b) => a + b),
          1,
          1e-12,
        );
        return shares[0];
      }, 20_000);
      near(share.mean, 1 / k, 0.01);
      near(share.variance, ((1 / k) * (1 - 1 / k)) / (k * alpha + 1), 0.01);
    }
  });

  it("refuses a seed that is not a whole number", () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => new PseudoRandom(seed, "x"), RangeError);
  });
});

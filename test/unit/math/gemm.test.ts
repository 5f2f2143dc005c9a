import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gemm, type Matrix, rowMajor, transposed } from "../../../src/math/gemm.ts";
import { PseudoRandom } from "../../../src/math/random.ts";

type Build = "relaxed" | "plain";
const BUILDS: readonly Build[] = ["plain", "relaxed"];

// Every edge: below, at and above the tile (6 x 8), the unrolled depth (4) and the blocks (396 rows, depth 512).
const SIZES: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [5, 7, 3],
  [6, 8, 4],
  [7, 9, 5],
  [13, 24, 511],
  [12, 17, 513],
  [397, 10, 33],
  [401, 11, 1030],
];

function fill(data: Float32Array, random: PseudoRandom): void {
  for (let i = 0; i < data.length; i++) data[i] = random.gaussian();
}

/** The slow twin, in double precision. */
function product(m: number, n: number, k: number, a: Matrix, b: Matrix, c: Float64Array): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      for (let l = 0; l < k; l++) {
        c[i * n + j] += a.data[i * a.rowStride + l * a.columnStride] * b.data[l * b.rowStride + j * b.columnStride];
      }
    }
  }
}

function assertClose(actual: Float32Array, expected: Float64Array, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    assert.ok(
      Math.abs(actual[i] - expected[i]) <= tolerance,
      `element ${i}: expected ${expected[i]}, got ${actual[i]}`,
    );
  }
}

for (const build of BUILDS) {
  describe(`gemm, ${build} build`, () => {
    it("equals the slow product for odd sizes, both orders of storage, with and without accumulation", () => {
      const random = new PseudoRandom(1, "gemm");
      for (const [m, n, k] of SIZES) {
        const gemm = new Gemm({ a: m * k, b: k * n, c: m * n, guard: 16 }, build);
        const { a, b, c, guard } = gemm.regions;
        for (const left of [rowMajor(a, k), transposed(rowMajor(a, m))]) {
          for (const right of [rowMajor(b, n), transposed(rowMajor(b, k))]) {
            for (const accumulate of [false, true]) {
              fill(a, random);
              fill(b, random);
              fill(c, random);
              const expected = accumulate ? Float64Array.from(c) : new Float64Array(m * n);
              product(m, n, k, left, right, expected);
              gemm.multiply(m, n, k, left, right, c, accumulate);
              assertClose(c, expected, 1e-5 * Math.sqrt(k) + 1e-6 * k);
            }
          }
        }
        assert.ok(guard.every((value) => value === 0));
      }
    });

    it("runs axpy, bias, row sums and relu like their loops", () => {
      const random = new PseudoRandom(2, "loops");
      for (const columns of [1, 3, 4, 10, 33]) {
        const rows = 5;
        const n = rows * columns;
        const gemm = new Gemm({ x: n, y: n, bias: columns }, build);
        const { x, y, bias } = gemm.regions;
        fill(x, random);
        fill(y, random);
        fill(bias, random);
        const sum = Float64Array.from(y, (value, i) => value + 0.5 * x[i]);
        gemm.axpy(0.5, x, y);
        assertClose(y, sum, 1e-6);
        const biased = Float64Array.from(x, (value, i) => value + bias[i % columns]);
        gemm.addBias(rows, bias, x);
        assertClose(x, biased, 1e-6);
        const sums = Float64Array.from(bias, (value, j) => {
          for (let i = 0; i < rows; i++) value += x[i * columns + j];
          return value;
        });
        gemm.addRows(rows, x, bias);
        assertClose(bias, sums, 1e-5);
        const rectified = Float64Array.from(x, (value) => Math.max(value, 0));
        gemm.relu(n, x);
        assertClose(x, rectified, 0);
        const kept = Float64Array.from(y, (value, i) => (x[i] > 0 ? value : 0));
        gemm.reluBackward(n, x, y);
        assertClose(y, kept, 0);
      }
    });

    it("takes the step of SGD with momentum and proximal pull", () => {
      const random = new PseudoRandom(3, "step");
      const n = 11;
      const gemm = new Gemm({ w: n, gradient: n, velocity: n, anchor: n }, build);
      const { w, gradient, velocity, anchor } = gemm.regions;
      for (const region of [w, gradient, velocity, anchor]) fill(region, random);
      const v = Float64Array.from(w, (wi, i) => 0.9 * velocity[i] + gradient[i] + 0.1 * (wi - anchor[i]));
      const stepped = Float64Array.from(w, (wi, i) => wi - 0.05 * v[i]);
      gemm.sgdStep(w, gradient, velocity, anchor, { rate: 0.05, momentum: 0.9, mu: 0.1 });
      assertClose(velocity, v, 1e-6);
      assertClose(w, stepped, 1e-6);
    });

    it("lets a value that is not a number pass relu", () => {
      const gemm = new Gemm({ x: 5 }, build);
      gemm.regions.x.fill(Number.NaN);
      gemm.relu(5, gemm.regions.x);
      assert.ok(gemm.regions.x.every((value) => Number.isNaN(value)));
    });
  });
}

describe("gemm at its door", () => {
  it("refuses an array of another instance", () => {
    const gemm = new Gemm({ x: 4, y: 4 });
    assert.throws(() => gemm.axpy(1, new Float32Array(4), gemm.regions.y), TypeError);
  });

  it("refuses a product that reaches past an array", () => {
    const gemm = new Gemm({ a: 6, b: 6, c: 3 });
    const { a, b, c } = gemm.regions;
    assert.throws(() => gemm.multiply(2, 2, 3, rowMajor(a, 3), rowMajor(b, 2), c, false), RangeError);
    assert.throws(() => gemm.multiply(3, 1, 3, rowMajor(a, 3), rowMajor(b, 1), c, false), RangeError);
  });

  it("refuses more memory than the address space holds", () => {
    assert.throws(() => new Gemm({ a: 2 ** 30 }), RangeError);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Matrix, multiply, rowMajor, transposed } from "../../../src/math/gemm.ts";
import { PseudoRandom } from "../../../src/math/random.ts";
import { type Build, cut, regionLength, SLACK, Workspace } from "../../../src/math/workspace.ts";

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
        const workspace = new Workspace({ a: m * k, b: k * n, c: m * n, guard: 16 }, build);
        const { a, b, c, guard } = workspace.regions;
        for (const left of [rowMajor(a, k), transposed(rowMajor(a, m))]) {
          for (const right of [rowMajor(b, n), transposed(rowMajor(b, k))]) {
            for (const accumulate of [false, true]) {
              fill(a, random);
              fill(b, random);
              fill(c, random);
              const expected = accumulate ? Float64Array.from(c) : new Float64Array(m * n);
              product(m, n, k, left, right, expected);
              multiply(workspace, m, n, k, left, right, c, accumulate);
              assertClose(c, expected, 1e-5 * Math.sqrt(k) + 1e-6 * k);
            }
          }
        }
        assert.ok(guard.every((value) => value === 0));
      }
    });

    it("adds a bias to rows, and rows up, like their loops", () => {
      const random = new PseudoRandom(2, "loops");
      for (const columns of [1, 3, 4, 10, 16, 33]) {
        const rows = 5;
        const n = rows * columns;
        const workspace = new Workspace({ x: n, bias: columns }, build);
        const { x, bias } = workspace.regions;
        const [xAt, biasAt] = [workspace.reach(x, n), workspace.reach(bias, columns)];
        fill(x, random);
        fill(bias, random);
        const biased = Float64Array.from(x, (value, i) => value + bias[i % columns]);
        workspace.run.addBias(rows, columns, biasAt, xAt);
        assertClose(x, biased, 1e-6);
        const sums = Float64Array.from(bias, (value, j) => {
          for (let i = 0; i < rows; i++) value += x[i * columns + j];
          return value;
        });
        workspace.run.addRows(rows, columns, xAt, biasAt);
        assertClose(bias, sums, 1e-5);
      }
    });

    it("lets a value that is not a number pass relu", () => {
      const workspace = new Workspace({ x: 5 }, build);
      const { x } = workspace.regions;
      x.fill(Number.NaN);
      workspace.run.relu(5, workspace.reach(x, 5));
      assert.ok(x.every((value) => Number.isNaN(value)));
    });
  });
}

describe("a workspace at its door", () => {
  it("refuses an array of another instance", () => {
    const workspace = new Workspace({ x: 4 });
    assert.throws(() => workspace.reach(new Float32Array(4), 4), TypeError);
    assert.throws(() => workspace.reach(new Workspace({ x: 4 }).regions.x, 4), TypeError);
  });

  it("refuses a product that reaches past an array", () => {
    const workspace = new Workspace({ a: 6, b: 6, c: 3 });
    const { a, b, c } = workspace.regions;
    assert.throws(() => multiply(workspace, 2, 2, 3, rowMajor(a, 3), rowMajor(b, 2), c, false), RangeError);
    assert.throws(() => multiply(workspace, 3, 1, 3, rowMajor(a, 3), rowMajor(b, 1), c, false), RangeError);
  });

  it("refuses more memory than the address space holds", () => {
    assert.throws(() => new Workspace({ a: 2 ** 30 }), RangeError);
  });

  it("cuts a region into arrays that do not touch", () => {
    const lengths = [1, 16, 33, 0, 5];
    const { region } = new Workspace({ region: regionLength(lengths) }).regions;
    const parts = cut(region, lengths);
    assert.deepEqual(
      parts.map((part) => part.length),
      lengths,
    );
    for (const [i, part] of parts.entries()) {
      const end = part.byteOffset + part.byteLength;
      const next = parts[i + 1]?.byteOffset ?? region.byteOffset + region.byteLength;
      assert.ok(next - end >= 4 * SLACK);
      assert.equal(part.byteOffset % 64, 0);
    }
  });
});

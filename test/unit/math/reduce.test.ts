import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LocalEngine, PIECE } from "../../../src/math/engine.ts";
import { selectionNetwork, sortingNetwork } from "../../../src/math/network.ts";
import { squaredDistances } from "../../../src/math/pairs.ts";
import { Reducer } from "../../../src/math/reducer.ts";
import {
  referenceDot,
  referenceMeanAroundMedian,
  referenceMedian,
  referenceNorm,
  referenceOthersMedian,
  referenceSquaredDistance,
  referenceTrimmedMean,
  referenceWeightedSum,
} from "../../../src/math/reference.ts";
import { blendRows, plainRows, type Rows, scaleRows, withRow } from "../../../src/math/rows.ts";
import { allFinite, cosine, dot, norm, weightedSum } from "../../../src/math/vector.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

const LENGTHS = [1, 2, 15, 16, 17, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 9001];
const reducer = new Reducer();
const engine = new LocalEngine(reducer);

const all = (rows: readonly Float32Array[]): Rows => plainRows(rows, rows[0].length);
const median = (rows: readonly Float32Array[]) => engine.map("coordinateMedian", all(rows), {});
const trimmed = (rows: readonly Float32Array[], f: number) => engine.map("trimmedMean", all(rows), { f });
const distances = (rows: readonly Float32Array[]) =>
  squaredDistances(
    engine,
    all(rows),
    rows.map((row) => norm(reducer, row)),
  ).squared;

/** Blends written out in float64. */
const written = ({ given, blends, length }: Rows): number[][] =>
  blends!.map(({ of, weights }) =>
    Array.from({ length }, (_, i) => of.reduce((sum, row, k) => sum + weights[k] * given[row][i], 0)),
  );

describe("reductions", () => {
  it("give what the slow twin gives at every length around a block", () => {
    for (const length of LENGTHS) {
      const rows = gaussianRows(length, 9, length);
      const weights = rows.map((_, i) => (i + 1) / 45);
      assertClose(weightedSum(reducer, rows, weights, length), referenceWeightedSum(rows, weights), 1e-6);
      assertClose([norm(reducer, rows[0])], [referenceNorm(rows[0])], 1e-12);
      assertClose([dot(reducer, rows[0], rows[1])], [referenceDot(rows[0], rows[1])], 1e-12);
      assertClose(median(rows), referenceMedian(rows), 1e-6);
      assertClose(trimmed(rows, 2), referenceTrimmedMean(rows, 2), 1e-6);
    }
  });

  it("give what the slow twin gives for every number of rows up to 40", () => {
    for (let n = 1; n <= 40; n++) {
      const rows = gaussianRows(n, n, 70);
      assertClose(median(rows), referenceMedian(rows), 1e-6);
      for (let f = 0; 2 * f < n; f++) {
        assertClose(trimmed(rows, f), referenceTrimmedMean(rows, f), 1e-6);
      }
    }
  });

  it("take the median of scaled rows without changing them", () => {
    const rows = gaussianRows(1, 6, 100);
    const before = rows.map((row) => row.slice());
    const scales = [1, 0.5, 2, 1, 0, 3];
    const expected = referenceMedian(rows.map((row, r) => row.map((value) => value * scales[r])));
    assertClose(engine.map("coordinateMedian", all(rows), { scales }), expected, 1e-6);
    assert.deepEqual(rows, before);
  });

  it("take the median of all rows but one, also among equal values", () => {
    for (let n = 2; n <= 9; n++) {
      const wide = gaussianRows(n, n, 600);
      const tied = wide.map((row) => row.map((value) => Math.round(value)));
      for (const rows of [wide, tied]) {
        const scales = rows.map((_, r) => (r % 2 === 0 ? 1 : 0.5));
        const scaled = rows.map((row, r) => row.map((value) => value * scales[r]));
        const products = engine.sum("otherProducts", all(rows), { scales });
        for (const [r, row] of rows.entries()) {
          const expected = referenceOthersMedian(scaled, r);
          assertClose([products[2 * r]], [referenceDot(row, expected)], 1e-5);
          assertClose([products[2 * r + 1]], [referenceDot(expected, expected)], 1e-5);
        }
      }
    }
  });

  it("take the mean around the median, of values as far those of the first rows", () => {
    for (let n = 1; n <= 12; n++) {
      const rows = gaussianRows(n, n, 520);
      const tied = rows.map((row) => row.map((value) => Math.round(2 * value)));
      for (let kept = 1; kept <= n; kept++) {
        assertClose(engine.map("meanAroundMedian", all(rows), { kept }), referenceMeanAroundMedian(rows, kept), 1e-6);
        assertClose(engine.map("meanAroundMedian", all(tied), { kept }), referenceMeanAroundMedian(tied, kept), 1e-6);
        const blends = blendRows(
          all(tied),
          tied.map((_, r) => ({ of: [n - 1 - r], weights: [1] })),
        );
        const turned = referenceMeanAroundMedian(tied.toReversed(), kept);
        assertClose(engine.map("meanAroundMedian", blends, { kept }), turned, 1e-6);
      }
    }
  });

  it("take squared distances by difference, so that a huge row costs the near ones no digit", () => {
    for (const n of [1, 2, 5, 8]) {
      const rows = gaussianRows(n, n, 300);
      rows[0].fill(1e30);
      const squared = distances(rows);
      const expected = rows.flatMap((x) => rows.map((y) => referenceSquaredDistance(x, y)));
      for (const [i, value] of expected.entries()) {
        assert.ok(Math.abs(squared[i] - value) <= 1e-12 * value, `${squared[i]} and ${value}`);
      }
    }
  });

  it("take squared distances of many values from products, and from differences where products cancel", () => {
    const length = 5000;
    const count = 120; // too many values for differences alone
    const weights = gaussianRows(1, 1, length)[0];
    const rows = gaussianRows(2, count, length).map((row, r) => {
      if (r === 0) return row.fill(1e30);
      if (r < 4) return row.map((value) => 1e4 + 1e-2 * value); // near one another, far from the rest
      return row.map((value, i) => weights[i] + 1e-4 * value); // as whole models lie
    });
    const squared = distances(rows);
    for (let i = 0; i < count; i += 3) {
      for (let j = 0; j < count; j++) {
        const expected = referenceSquaredDistance(rows[i], rows[j]);
        const got = squared[i * count + j];
        assert.ok(Math.abs(got - expected) <= 2e-6 * expected, `${i} ${j}: ${got} and ${expected}`);
      }
    }
  });

  it("work on blends as if they were written out", () => {
    const given = all(gaussianRows(3, 11, 1100));
    const once = blendRows(given, [
      { of: [0, 9, 10], weights: [0.5, 0.25, 0.25] },
      { of: [3], weights: [1] },
      { of: [1, 2, 3, 4, 5, 6, 7, 8], weights: new Array(8).fill(1 / 8) },
      { of: [10, 0], weights: [2, -1] },
      { of: [7, 4], weights: [1, 1] },
    ]);
    const twice = scaleRows(once, [1, 2, 1, 0.5, 1]);
    const plain = written(twice);
    assertClose(engine.map("coordinateMedian", twice, {}), referenceMedian(plain), 1e-6);
    assertClose(engine.map("trimmedMean", twice, { f: 1 }), referenceTrimmedMean(plain, 1), 1e-6);
    assertClose(engine.map("meanAroundMedian", twice, { kept: 3 }), referenceMeanAroundMedian(plain, 3), 1e-6);
    const weights = [0.1, 0.2, 0.3, 0.2, 0.2];
    assertClose(engine.map("rowsSum", twice, { weights }), referenceWeightedSum(plain, weights), 1e-6);
    const squares = plain.map((row) => referenceDot(row, row));
    assertClose(engine.sum("squaredNorms", twice, {}), squares, 1e-6);
    const more = withRow(twice, given.given[5]);
    const expected = [...plain, [...given.given[5]]].map((row) => referenceDot(row, given.given[5]));
    assertClose(engine.sum("dots", more, {}), expected, 1e-6);
    const { squared } = squaredDistances(engine, twice, squares.map(Math.sqrt));
    const pairs = plain.flatMap((x) => plain.map((y) => referenceSquaredDistance(x, y)));
    assertClose(squared, pairs, 1e-6);
  });

  it("count signs by coordinate and by row", () => {
    const rows = gaussianRows(4, 5, 700).map((row, r) => row.map((value, i) => (i % 7 === r ? 0 : value)));
    const sums = rows[0].map((_, i) => rows.reduce((sum, row) => sum + Math.sign(row[i]), 0));
    assert.deepEqual(engine.map("signSums", all(rows), {}), sums);
    const counts = rows.flatMap((row) => [
      row.filter((value) => value > 0).length,
      row.filter((value) => value < 0).length,
    ]);
    assert.deepEqual([...engine.sum("signCounts", all(rows), {})], counts);
  });

  it("measure rows while they add them up, with the bits of both alone", () => {
    for (const [count, length] of [
      [1, 1],
      [8, 4097],
      [13, PIECE + 5000],
    ]) {
      const rows = all(gaussianRows(count, count, length));
      const weights = rows.given.map((_, r) => 1 / (r + 2));
      const { sum, squares } = engine.measuredSum(rows, weights);
      assert.deepEqual(sum, engine.map("rowsSum", rows, { weights }));
      assert.deepEqual(squares, engine.sum("squaredNorms", rows, {}));
    }
  });

  it("join pieces of columns without a seam", () => {
    const rows = gaussianRows(5, 4, PIECE + 100);
    assertClose(median(rows), referenceMedian(rows), 1e-6);
    const squares = rows.map((row) => referenceDot(row, row));
    assertClose(engine.sum("squaredNorms", all(rows), {}), squares, 1e-9);
  });

  it("keep digits that float32 would lose", () => {
    const x = Float32Array.of(1e20, 1);
    assert.equal(norm(reducer, x), referenceNorm(x));
    const long = new Float32Array(100_000).fill(1e-3);
    assert.ok(Math.abs(norm(reducer, long) / (Math.fround(1e-3) * Math.sqrt(100_000)) - 1) < 1e-12);
  });

  it("keep the error of a long sum within that of eight rows", () => {
    const rows = gaussianRows(7, 2000, 40);
    const weights = new Array(2000).fill(1 / 2000);
    const expected = referenceWeightedSum(rows, Float32Array.from(weights));
    assertClose(weightedSum(reducer, rows, weights, 40), expected, 1e-7);
  });

  it("see a value that is not finite wherever it stands", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 1, 15, 16, 4095, 4096, 4999]) {
        const x = new Float32Array(5000);
        x[at] = bad;
        assert.equal(allFinite(reducer, x), false);
      }
    }
    assert.equal(allFinite(reducer, new Float32Array(5000).fill(3.4028234e38)), true);
  });

  it("forget a vector that was not finite", () => {
    allFinite(reducer, new Float32Array(5000).fill(Number.NaN));
    const rows = gaussianRows(3, 5, 10);
    assertClose(median(rows), referenceMedian(rows), 1e-6);
    assertClose(weightedSum(reducer, rows, [1, 1, 1, 1, 1], 10), referenceWeightedSum(rows, [1, 1, 1, 1, 1]), 1e-6);
  });

  it("call the cosine with a zero vector 0", () => {
    assert.equal(cosine(0, 0, 1), 0);
    assert.equal(cosine(0, 0, 0), 0);
    assert.equal(cosine(2.0000000001, 1, 2), 1);
  });
});

describe("networks", () => {
  // A comparator network sorts every input if it sorts every input of zeros and ones.
  const apply = (network: Uint16Array, row: number[]): number[] => {
    for (let i = 0; i < network.length; i += 2) {
      const [a, b] = [row[network[i]], row[network[i + 1]]];
      row[network[i]] = Math.min(a, b);
      row[network[i + 1]] = Math.max(a, b);
    }
    return row;
  };
  const bits = (value: number, n: number): number[] => Array.from({ length: n }, (_, i) => (value >> i) & 1);

  it("sort every input of zeros and ones up to 12 rows", () => {
    for (let n = 1; n <= 12; n++) {
      const network = sortingNetwork(n);
      for (let value = 0; value < 2 ** n; value++) {
        const row = bits(value, n);
        assert.deepEqual(apply(network, row.slice()), row.toSorted());
      }
    }
  });

  it("bring every range of ranks together up to 9 rows, with fewer comparators", () => {
    for (let n = 1; n <= 9; n++) {
      for (let low = 0; low < n; low++) {
        for (let high = low + 1; high <= n; high++) {
          const network = selectionNetwork(n, low, high);
          assert.ok(network.length <= sortingNetwork(n).length);
          for (let value = 0; value < 2 ** n; value++) {
            const row = bits(value, n);
            const kept = apply(network, row.slice()).slice(low, high).toSorted();
            assert.deepEqual(kept, row.toSorted().slice(low, high));
          }
        }
      }
    }
  });

  it("need no comparator for the mean of all ranks", () => {
    assert.equal(selectionNetwork(50, 0, 50).length, 0);
  });
});

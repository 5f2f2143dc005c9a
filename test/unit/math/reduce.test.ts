import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { selectionNetwork, sortingNetwork } from "../../../src/math/network.ts";
import { dotOthers, othersMedian } from "../../../src/math/others.ts";
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
import { coordinateMedian, meanAroundMedian, trimmedMean } from "../../../src/math/select.ts";
import { allFinite, cosine, dot, norm, weightedSum, weightedSums } from "../../../src/math/vector.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

const LENGTHS = [1, 2, 15, 16, 17, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 9001];
const reducer = new Reducer();

describe("reductions", () => {
  it("give what the slow twin gives at every length around a block", () => {
    for (const length of LENGTHS) {
      const rows = gaussianRows(length, 9, length);
      const weights = rows.map((_, i) => (i + 1) / 45);
      assertClose(weightedSum(reducer, rows, weights, length), referenceWeightedSum(rows, weights), 1e-6);
      assertClose([norm(reducer, rows[0])], [referenceNorm(rows[0])], 1e-12);
      assertClose([dot(reducer, rows[0], rows[1])], [referenceDot(rows[0], rows[1])], 1e-12);
      assertClose(coordinateMedian(reducer, rows, length), referenceMedian(rows), 1e-6);
      assertClose(trimmedMean(reducer, rows, length, 2), referenceTrimmedMean(rows, 2), 1e-6);
    }
  });

  it("give what the slow twin gives for every number of rows up to 40", () => {
    for (let n = 1; n <= 40; n++) {
      const rows = gaussianRows(n, n, 70);
      assertClose(coordinateMedian(reducer, rows, 70), referenceMedian(rows), 1e-6);
      for (let f = 0; 2 * f < n; f++) {
        assertClose(trimmedMean(reducer, rows, 70, f), referenceTrimmedMean(rows, f), 1e-6);
      }
    }
  });

  it("take the median of scaled rows without changing them", () => {
    const rows = gaussianRows(1, 6, 100);
    const before = rows.map((row) => row.slice());
    const scales = [1, 0.5, 2, 1, 0, 3];
    const expected = referenceMedian(rows.map((row, r) => row.map((value) => value * scales[r])));
    assertClose(coordinateMedian(reducer, rows, 100, scales), expected, 1e-6);
    assert.deepEqual(rows, before);
  });

  it("take the median of all rows but one, also among equal values", () => {
    for (let n = 2; n <= 9; n++) {
      const wide = gaussianRows(n, n, 600);
      const tied = wide.map((row) => row.map((value) => Math.round(value)));
      for (const rows of [wide, tied]) {
        const scales = rows.map((_, r) => (r % 2 === 0 ? 1 : 0.5));
        const scaled = rows.map((row, r) => row.map((value) => value * scales[r]));
        const others = othersMedian(reducer, rows, 600, scales);
        for (const [r, row] of rows.entries()) {
          const expected = referenceOthersMedian(scaled, r);
          const { product, squaredNorm } = dotOthers(reducer, row, scales[r], others);
          assertClose([product], [referenceDot(row, expected)], 1e-5);
          assertClose([squaredNorm], [referenceDot(expected, expected)], 1e-5);
        }
      }
    }
  });

  it("take the mean around the median, the lower one of two values as far", () => {
    for (let n = 1; n <= 12; n++) {
      const rows = gaussianRows(n, n, 520);
      const tied = rows.map((row) => row.map((value) => Math.round(value)));
      for (let kept = 1; kept <= n; kept++) {
        assertClose(meanAroundMedian(reducer, rows, 520, kept), referenceMeanAroundMedian(rows, kept), 1e-6);
        assertClose(meanAroundMedian(reducer, tied, 520, kept), referenceMeanAroundMedian(tied, kept), 1e-6);
      }
    }
  });

  it("take squared distances by difference, so that a huge row costs the near ones no digit", () => {
    for (const n of [1, 2, 5, 8]) {
      const rows = gaussianRows(n, n, 300);
      rows[0].fill(1e30);
      const { squared } = squaredDistances(reducer, rows, 300);
      const expected = rows.flatMap((x) => rows.map((y) => referenceSquaredDistance(x, y)));
      for (const [i, value] of expected.entries()) {
        assert.ok(Math.abs(squared[i] - value) <= 1e-12 * value, `${squared[i]} and ${value}`);
      }
    }
  });

  it("sum the same rows in several ways at once", () => {
    const rows = gaussianRows(3, 11, 1100);
    const ways = [0, 1, 2].map((way) => rows.map((_, r) => (r + way) / 55));
    const sums = weightedSums(reducer, rows, ways, 1100);
    for (const [i, sum] of sums.entries()) assertClose(sum, referenceWeightedSum(rows, ways[i]), 1e-6);
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
    assertClose(coordinateMedian(reducer, rows, 10), referenceMedian(rows), 1e-6);
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

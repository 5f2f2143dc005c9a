import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { selectionNetwork, sortingNetwork } from "../../../src/math/network.ts";
import { Reducer } from "../../../src/math/reducer.ts";
import {
  referenceDot,
  referenceMedian,
  referenceNorm,
  referenceTrimmedMean,
  referenceWeightedSum,
} from "../../../src/math/reference.ts";
import { coordinateMedian, trimmedMean } from "../../../src/math/select.ts";
import { allFinite, cosine, dot, norm, weightedSum } from "../../../src/math/vector.ts";
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

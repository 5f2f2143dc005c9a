import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aggregate } from "../../../src/aggregation/aggregate.ts";
import { referenceMean, referenceWeiszfeld } from "../../../src/aggregation/reference.ts";
import type { GeometricMedianParameters } from "../../../src/aggregation/rules/geometric-median.ts";
import { assertClose, gaussianRows } from "../../support/rows.ts";

const rows = (...values: number[][]): Float32Array[] => values.map((row) => Float32Array.from(row));
const median = (deltas: Float32Array[], parameters: GeometricMedianParameters = {}, weights?: number[]): number[] => {
  const options = weights === undefined ? {} : { weights };
  return [...aggregate({ rule: "geometric-median", ...parameters }, deltas, options).delta];
};

describe("the geometric median", () => {
  it("is the start, in any order, where more than one point is a median", () => {
    const cases: [Float32Array[], number[]][] = [
      [rows([0, 0], [2, 0]), [1, 0]],
      [rows([0, 0], [1, 0], [2, 0], [4, 0]), [1.75, 0]],
      [rows([1, 1], [1, 1], [3, 3], [3, 3]), [2, 2]],
    ];
    for (const [deltas, expected] of cases) {
      assertClose(median(deltas), expected, 1e-6);
      assertClose(median(deltas.toReversed()), expected, 1e-6);
    }
    assertClose(median(rows([9, 9], [1, 1], [0, 3]), {}, [0, 1, 1]), [0.5, 2], 1e-6);
  });

  it("is an update where that alone is one, though its weight is no more than the pull of the others", () => {
    assert.deepEqual(median(rows([0, 0], [1, 0], [5, 0])), [1, 0]);
    assert.deepEqual(median(rows([0, 0], [2, 0]), {}, [1, 1.5]), [2, 0]);
    const wide = rows([0, 0], [1, 0], [-0.5, Math.sqrt(0.75)]); // 120 degrees at the first
    assertClose(median(wide), [0, 0], 1e-6);
    const products = gaussianRows(2, 40, 50_000); // so many that distances come from products in float32
    const centre = referenceMean(products).map(Math.fround);
    assert.deepEqual(median([...products, Float32Array.from(centre)]), centre);
  });

  it("is found from a start that lies on an update", () => {
    const corner = rows([0, 0], [3, 0], [0, 9]);
    const expected = referenceWeiszfeld(corner, [1, 3], { smoothing: 0, iterations: 5000 });
    assertClose(median(corner, { start: "zero" }), expected, 1e-6);
    const around = rows([0, 0], [0, -4], [8, 2], [-8, 2], [1, 0], [-1, 0]);
    const weights = [0.1, 1, 1, 1, 0.01, 0.01];
    assertClose(median(around, {}, weights), median(around, { start: "zero" }, [...weights]), 1e-6);
  });

  it("rests where it is smoothed and no number of steps is given", () => {
    const deltas = rows([0, 0], [1, 0], [0, 1], [10, 10]);
    assertClose(median(deltas, { smoothing: 10 }), [2.690356, 2.690356], 1e-6);
    for (const start of ["zero", "mean"] as const) {
      const expected = referenceWeiszfeld(deltas, [0, 0], { smoothing: 3, iterations: 5000 });
      assertClose(median(deltas, { smoothing: 3, start }), expected, 1e-6);
    }
    assertClose(median(deltas), [0.5, 0.5], 1e-6);
    assertClose(median(deltas, { smoothing: 0 }), [0.5, 0.5], 1e-6);
  });
});

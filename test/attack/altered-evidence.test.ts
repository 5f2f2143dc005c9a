// Evidence of real hardware of which one bit is turned.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { flips } from "../support/tee/flips.ts";
import {
  expectedOf,
  nitroSample,
  quoteSample,
  type Sample,
  sevSnpSample,
  verifySample,
} from "../support/tee/samples.ts";

const [[nitro, { timestamp }]] = expectedOf("nitro");

// One bit of every so many bytes; scripts/flip-sweep.ts turns every one. The stride is odd and so meets every bit.
const SWEEPS: readonly (readonly [Sample, number])[] = [
  [sevSnpSample("milan-v2-coco"), 5],
  [sevSnpSample("milan-v3-azure-a"), 31],
  [quoteSample("tdx/v4-with-collateral"), 23],
  [quoteSample("sgx/v3-with-collateral"), 29],
  [nitroSample(nitro, timestamp as string), 17],
];

describe("a single bit", () => {
  for (const [sample, stride] of SWEEPS) {
    it(`flipped anywhere in ${sample.name} is refused`, () => {
      assert.ok(verifySample(sample).ok);
      let count = 0;
      for (const { where, altered } of flips(sample, stride)) {
        assert.equal(verifySample(altered).ok, false, where);
        count += 1;
      }
      assert.ok(count > 100, `expected some hundred flips, made ${count}`);
    });
  }
});

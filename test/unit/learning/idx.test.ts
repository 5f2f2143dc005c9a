import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concat, u32be } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { datasetFromIdx, parseIdx } from "../../../src/learning/idx.ts";

function idx(shape: readonly number[], data: readonly number[]): Uint8Array {
  return concat(Uint8Array.of(0, 0, 8, shape.length), ...shape.map(u32be), Uint8Array.from(data));
}

function assertRefused(read: () => unknown, text: RegExp): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof QflareError);
    assert.equal(error.code, "data.malformed");
    assert.match(error.message, text);
    return true;
  });
}

describe("IDX", () => {
  it("gives shape and elements", () => {
    const { shape, data } = parseIdx(idx([2, 3], [1, 2, 3, 4, 5, 6]));
    assert.deepEqual(shape, [2, 3]);
    assert.deepEqual([...data], [1, 2, 3, 4, 5, 6]);
  });

  it("refuses every prefix of a file and every file with a byte more", () => {
    const whole = idx([2, 3], [1, 2, 3, 4, 5, 6]);
    for (let length = 0; length < whole.length; length++) {
      assertRefused(() => parseIdx(whole.subarray(0, length)), /expected/);
    }
    assertRefused(
      () => parseIdx(concat(whole, Uint8Array.of(0))),
      /expected 6 bytes behind the IDX header \(2 x 3\), got 7/,
    );
  });

  it("refuses another magic, another type and sizes whose product overflows", () => {
    assertRefused(() => parseIdx(Uint8Array.of(1, 0, 8, 1, 0, 0, 0, 0)), /two zero bytes/);
    assertRefused(() => parseIdx(Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0)), /got type 13/);
    assertRefused(() => parseIdx(Uint8Array.of(0, 0, 8, 0)), /got 0/);
    assertRefused(() => parseIdx(Uint8Array.of(0, 0, 8, 5)), /got 5/);
    const huge = 2 ** 32 - 1;
    assertRefused(() => parseIdx(idx([huge, huge, huge], [])), /expected 7\.9.*e\+28 bytes/);
    assertRefused(() => parseIdx(idx([2 ** 16, 2 ** 16], [])), /expected 4294967296 bytes/);
  });

  it("becomes a data set of standardised pixels", () => {
    const dataset = datasetFromIdx(idx([2, 1, 2], [0, 255, 73, 0]), idx([2], [1, 0]), 2);
    assert.deepEqual([...dataset.labels], [1, 0]);
    assert.equal(dataset.inputs, 2);
    assert.ok(Math.abs(dataset.features[0] + 0.286 / 0.353) < 1e-6);
    assert.ok(Math.abs(dataset.features[1] - 0.714 / 0.353) < 1e-6);
  });

  it("refuses labels that do not fit the images", () => {
    const images = idx([2, 1, 2], [0, 1, 2, 3]);
    assertRefused(() => datasetFromIdx(images, idx([3], [0, 1, 0]), 2), /got 3 and 2/);
    assertRefused(() => datasetFromIdx(images, idx([2], [0, 2]), 2), /got 2 at index 1/);
    assertRefused(() => datasetFromIdx(images, images, 2), /labels of 1 dimension/);
    assertRefused(() => datasetFromIdx(idx([2], [0, 1]), idx([2], [0, 1]), 2), /2 or more dimensions/);
    assertRefused(() => datasetFromIdx(idx([0, 1], []), idx([0], []), 2), /at least one/);
  });
});

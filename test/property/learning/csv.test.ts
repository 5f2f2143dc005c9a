import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { utf8 } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { datasetFromCsv } from "../../../src/learning/csv.ts";

const quote = (field: string): string => `"${field.replaceAll('"', '""')}"`;
const names = fc.string({ maxLength: 6, unit: fc.constantFrom("a", '"', ",", "\n", "\r", " ", "é") });
const numbers = fc.float({ noNaN: true, noDefaultInfinity: true });

describe("CSV", () => {
  it("gives back names, labels and numbers that were written with quotes", () => {
    const rows = fc.array(fc.tuple(names, numbers), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(rows, fc.constantFrom("\n", "\r\n"), (body, lineEnd) => {
        const lines = ['class,"x"', ...body.map(([label, value]) => `${quote(label)},${value}`)];
        const classNames = [...new Set([...body.map(([label]) => label), "one more"])];
        const { dataset } = datasetFromCsv(utf8(lines.join(lineEnd)), {
          labelColumn: "class",
          classNames,
          standardisation: { means: [0], deviations: [1] },
        });
        assert.deepEqual(
          [...dataset.labels].map((label) => classNames[label]),
          body.map(([label]) => label),
        );
        assert.deepEqual([...dataset.features], [...Float32Array.from(body, ([, value]) => value + 0)]);
      }),
    );
  });

  it("is refused with a code where it is not CSV, and never with another error", () => {
    const text = fc.string({ maxLength: 40, unit: fc.constantFrom("x", "1", ",", '"', "\n", "\r", "\0", "class") });
    fc.assert(
      fc.property(text, (body) => {
        try {
          const { dataset } = datasetFromCsv(utf8(`x,class\n${body}`), { labelColumn: "class" });
          assert.equal(dataset.features.length, dataset.count);
        } catch (error) {
          assert.ok(error instanceof QflareError && error.code === "data.malformed", String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

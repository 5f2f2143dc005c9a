import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { type CsvOptions, datasetFromCsv } from "../../../src/learning/csv.ts";

function read(text: string, options: Partial<CsvOptions> = {}) {
  return datasetFromCsv(utf8(text), { labelColumn: "class", ...options });
}

function assertRefused(text: string, message: RegExp, options: Partial<CsvOptions> = {}): void {
  assert.throws(
    () => read(text, options),
    (error) => {
      assert.ok(error instanceof QflareError, String(error));
      assert.equal(error.code, "data.malformed");
      assert.match(error.message, message);
      return true;
    },
  );
}

describe("CSV", () => {
  it("becomes a data set of standardised columns, with the constants and the names", () => {
    const { dataset, ...rest } = read("width,class,height\n1,b,5\n3,a,5\n");
    assert.deepEqual(rest, {
      classNames: ["a", "b"],
      featureNames: ["width", "height"],
      standardisation: { means: [2, 5], deviations: [1, 1] },
    });
    assert.deepEqual([...dataset.features], [-1, 0, 1, 0]);
    assert.deepEqual([...dataset.labels], [1, 0]);
  });

  it("reads quotes, doubled quotes, commas and line ends inside quotes, CRLF, and no line end at the end", () => {
    const { featureNames, classNames } = read('"a ""b""","x,\r\ny",class\r\n1,"2","p\nq"\r\n-.5e1,+2.,r');
    assert.deepEqual(featureNames, ['a "b"', "x,\r\ny"]);
    assert.deepEqual(classNames, ["p\nq", "r"]);
  });

  it("uses classes and constants that are given", () => {
    const standardisation = { means: [1], deviations: [2] };
    const { dataset } = read("x,class\n5,no\n1,no\n", { classNames: ["yes", "no"], standardisation });
    assert.deepEqual([...dataset.features], [2, 0]);
    assert.deepEqual([...dataset.labels], [1, 1]);
    assert.equal(dataset.classes, 2);
  });

  it("refuses what it cannot read, and says where", () => {
    assertRefused("", /line 1: expected a header and at least one row/);
    assertRefused("x,class\n", /line 2: expected a header and at least one row/);
    assertRefused("x,y\n1,2\n", /line 1: expected a column "class"/);
    assertRefused("x,x,class\n1,2,a\n", /line 1: expected every column name once, got "x" twice/);
    assertRefused("class\na\nb\n", /line 1: expected at least one column beside/);
    assertRefused("x,class\n1,a\n1\n", /line 3: expected 2 fields, got 1/);
    assertRefused("x,class\n1,a,\n", /line 2: expected 2 fields, got 3/);
    assertRefused("x,class\n1,a\n\n2,b\n", /line 3: expected 2 fields, got 1/);
    assertRefused('x,class\n1,"a\nb"\nz,c\n', /line 4: expected a number in column "x", got "z"/);
    assertRefused('x,class\n1,"a"b\n', /line 2: expected a comma or the end of the line behind field 2, got "b"/);
    assertRefused('x,class\n1,a"b"\n', /line 2: expected a comma/);
    assertRefused('x,class\n1,"a\n2,b\n', /line 2: expected a comma .* got "\\""/);
    assertRefused("x,class\r1,a\r", /line 1: expected a comma .* got "\\r"/);
    for (const value of ["", " 1", "0x10", "NaN", "Infinity", "1e999", "1e39", "1_000", "."]) {
      assertRefused(`x,class\n${value},a\n1,b\n`, /line 2: expected a number in column "x"/);
    }
    assertRefused("x,class\n1,a\n2,a\n", /expected two or more classes, got 1/);
    assertRefused("x,class\n1,c\n2,a\n", /line 2: expected one of the 2 classes, got "c"/, { classNames: ["a", "b"] });
  });

  it("refuses bytes that are not UTF-8", () => {
    assert.throws(() => datasetFromCsv(Uint8Array.of(0xff, 0x2c), { labelColumn: "class" }), QflareError);
  });

  it("refuses values that overflow once standardised", () => {
    const standardisation = { means: [0], deviations: [1e-30] };
    assertRefused("x,class\n1e30,a\n2,b\n", /finite once standardised/, { standardisation });
  });
});

// Text of any code points, for fast-check. Its own unit "binary" has the same ones, and spends a second of each process
// on a table.

import fc from "fast-check";

const SURROGATES = { first: 0xd800, last: 0xdfff };
const LAST = 0x10ffff;

const codePoint = fc
  .oneof(
    { weight: 1, arbitrary: fc.integer({ min: 0, max: SURROGATES.first - 1 }) },
    { weight: 16, arbitrary: fc.integer({ min: SURROGATES.last + 1, max: LAST }) },
  )
  .map((code) => String.fromCodePoint(code));

/** maxLength: in code points. */
export function codePoints(maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: codePoint, maxLength });
}

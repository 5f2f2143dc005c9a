// Sizes: lines, functions, files.

import { type Check, type Finding, isData } from "./house.ts";
import { SIZES } from "./rules.ts";

const CODE = /\.(?:tsx?|mjs|js|css|sh)$|^\.ci\/run$/;

export const checkFileSizes: Check = (house) =>
  codeIn(house.files).flatMap(([path, text]) => {
    const lines = text.split("\n").length - 1;
    const linesMax = path.startsWith("test/") ? SIZES.testFileLinesMax : SIZES.fileLinesMax;
    return lines > linesMax
      ? [{ path, line: linesMax + 1, text: `file: expected at most ${linesMax} lines, got ${lines}` }]
      : [];
  });

export const checkLineSizes: Check = (house) =>
  codeIn(house.files).flatMap(([path, text]) =>
    text.split("\n").flatMap((line, i): Finding[] => {
      const columns = [...line].length;
      if (columns <= SIZES.lineColumnsMax) return [];
      return [{ path, line: i + 1, text: `line: expected at most ${SIZES.lineColumnsMax} columns, got ${columns}` }];
    }),
  );

export const checkFunctionSizes: Check = (house) =>
  [...house.modules].flatMap(([path, module]) =>
    module.functions
      .filter(({ lines }) => lines > SIZES.functionLinesMax)
      .map(({ line, lines }) => ({
        path,
        line,
        text: `function: expected at most ${SIZES.functionLinesMax} lines, got ${lines}`,
      })),
  );

function codeIn(files: ReadonlyMap<string, string>): [string, string][] {
  return [...files].filter(([path]) => CODE.test(path) && !isData(path));
}

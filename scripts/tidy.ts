// Checks the shape of the house and prints `file:line: what is wrong`. Tables: scripts/tidy/rules.ts.

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { checkDocs } from "./tidy/docs.ts";
import { checkFloors, checkReferences } from "./tidy/floors.ts";
import { checkCircles, checkDeadExports, checkDeadFiles, checkEntries } from "./tidy/graph.ts";
import { type Check, readHouse } from "./tidy/house.ts";
import { checkLock, checkVersions } from "./tidy/manifest.ts";
import { checkFileSizes, checkFunctionSizes, checkLineSizes } from "./tidy/size.ts";
import { checkBannedWords, checkComments, checkImportWork, checkNodeCrypto, checkPaths } from "./tidy/words.ts";

const CHECKS: readonly Check[] = [
  ...[checkFloors, checkReferences, checkCircles, checkEntries, checkDeadFiles, checkDeadExports],
  ...[checkFileSizes, checkLineSizes, checkFunctionSizes],
  ...[checkImportWork, checkBannedWords, checkNodeCrypto, checkComments, checkPaths],
  ...[checkDocs, checkVersions, checkLock],
];

const house = readHouse(dirname(dirname(fileURLToPath(import.meta.url))));
const findings = CHECKS.flatMap((check) => check(house));
for (const { path, line, text } of findings) console.log(`${path}:${line}: ${text}`);
console.log(`tidy: ${house.files.size} files, ${findings.length} findings`);
if (findings.length > 0) process.exitCode = 1;

// The product without its cryptography, for bench/security-cost.ts alone: its sources in a temporary folder, where the
// modules of this folder stand in place of their namesakes and TCP in place of TLS. Digests, key schedules, the log's
// hash trees and all checks are as they were, so that what is compared is the same program at the same work.

import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(dirname(folder)));
const FROM_HERE = "../../../src/";

/** What stands in src/crypto under the same name. */
const MODULES = ["aead", "native-ml-dsa", "ed25519", "native-x25519", "native-ml-kem", "frodokem"];

/** Where it is not set, the program of the tree does not start: one that is left behind must not be taken for true. */
export const SIGN = "BENCHMARK_WITHOUT_CRYPTOGRAPHY";

const CHANGES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "../bin/qflare.js": [
    ["async function start() {\n", `async function start() {\n  if (!process.env.${SIGN}) return;\n`],
  ],
  "server/gateway.ts": [["    https: {\n", "    http: {\n"]],
  "device/transport.ts": [
    ['from "node:https"', 'from "node:http"'],
    ['from "node:tls"', 'from "./plain-connection.ts"'],
    ['if (this.#pin === "any") return true;', "return true;"],
  ],
};

/** Returns the folder, the caller's to remove. */
export function treeWithoutCrypto(): string {
  const tree = mkdtempSync(join(tmpdir(), "qflare-no-crypto-"));
  for (const name of ["src", "bin", "data", "package.json"]) {
    cpSync(join(root, name), join(tree, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  for (const name of MODULES) place(`${name}.ts`, join(tree, "src", "crypto"));
  place("plain-connection.ts", join(tree, "src", "device"));
  for (const [file, changes] of Object.entries(CHANGES)) change(join(tree, "src", file), changes);
  return tree;
}

function place(file: string, target: string): void {
  const text = readFileSync(join(folder, file), "utf8");
  writeFileSync(join(target, file), text.replaceAll(FROM_HERE, "../"));
}

function change(file: string, changes: readonly (readonly [string, string])[]): void {
  let text = readFileSync(file, "utf8");
  for (const [before, after] of changes) {
    if (!text.includes(before)) throw new Error(`${file}: expected ${before}`);
    text = text.replace(before, after);
  }
  writeFileSync(file, text);
}

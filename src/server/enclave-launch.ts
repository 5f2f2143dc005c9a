// How an enclave process is started: Node with nothing but what the enclave needs. Its own program and key folder, an
// empty environment, no network, no child processes, no workers, no add-ons, no database, no code from strings.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";

export type EnclaveChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** Floors whose files make up the enclave's program. */
const PROGRAM: readonly string[] = ["core", "crypto", "math", "wire", "attestation", "aggregation", "enclave"];
const MODULE = /(?<!\.d)\.[jt]s$/;

interface Place {
  readonly floors: string;
  readonly root: string;
  readonly entry: string;
}

/** Sources in development, compiled files in the package. */
function locate(): Place {
  const here = fileURLToPath(import.meta.url);
  const floors = dirname(dirname(here));
  const entry = join(floors, "enclave", here.endsWith(".ts") ? "main.ts" : "main.js");
  return { floors, root: dirname(floors), entry };
}

/** The one package that the program imports. It may lie beside this package instead of in it. */
function packageFolder(root: string): string {
  for (let folder = root; ; folder = dirname(folder)) {
    const found = join(folder, "node_modules", "cborg");
    if (existsSync(found)) return found;
    if (folder === dirname(folder)) throw new QflareError("enclave.unavailable", "the package cborg is not installed");
  }
}

/** SHA-256 over names and contents of the program's files, hexadecimal. */
function programDigest(): string {
  const { floors } = locate();
  const parts: Uint8Array[] = [];
  for (const floor of PROGRAM) {
    const names = readdirSync(join(floors, floor), { recursive: true, encoding: "utf8" });
    for (const name of names.filter((file) => MODULE.test(file)).sort()) {
      const contents = readFileSync(join(floors, floor, name));
      parts.push(utf8(`${floor}/${name}\0${contents.length}\0`), contents);
    }
  }
  return toHex(sha256(...parts));
}

/** keyFolder: where the sealing key lies; made if it is not there. */
export function launchEnclave(keyFolder: string): EnclaveChild {
  mkdirSync(keyFolder, { recursive: true, mode: 0o700 });
  const { floors, root, entry } = locate();
  const readable = [
    ...PROGRAM.map((floor) => join(floors, floor, "*")),
    join(root, "package.json"),
    join(packageFolder(root), "*"),
    join(keyFolder, "*"),
  ];
  const flags = [
    "--permission",
    ...readable.map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-write=${join(keyFolder, "*")}`,
    // To resolve a link, Node would have to read folders outside of these.
    "--preserve-symlinks",
    "--disallow-code-generation-from-strings",
    "--disable-proto=delete",
    "--disable-sigusr1",
    "--no-experimental-sqlite",
    "--no-warnings",
  ];
  return spawn(process.execPath, [...flags, entry, join(keyFolder, "sealing.key"), programDigest()], {
    env: {},
    stdio: ["pipe", "pipe", "pipe"],
  });
}

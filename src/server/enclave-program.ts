// The enclave's program as one file: every module that its entry reaches, types blanked out, behind a loader that
// imports these modules and the few parts of Node that they name, and nothing else. The same sources give the same
// bytes, whatever the folder: SHA-256 over them is what evidence and reference values carry.
//
// A built package has the file; a checkout makes it in memory from its sources.

import { existsSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { QflareError } from "../core/error.ts";

export const PROGRAM_NAME = "enclave.mjs";
const ENTRY = "src/enclave/main.ts";
const PACKAGE = "cborg";
const PACKAGE_ENTRY = `node_modules/${PACKAGE}/cborg.js`;
const IMPORT = /^(?:import|export)\b[^'"();=]*\bfrom ["']([^"'\n]+)["']|\bawait import\(["']([^"'\n]+)["']\)/gm;

let program: Uint8Array<ArrayBuffer> | undefined;

/** The bytes that an enclave process runs. */
export function enclaveProgram(): Uint8Array<ArrayBuffer> {
  program ??= readProgram();
  return program;
}

function readProgram(): Uint8Array<ArrayBuffer> {
  const floors = dirname(dirname(fileURLToPath(import.meta.url)));
  const built = join(floors, PROGRAM_NAME);
  if (existsSync(built)) return new Uint8Array(readFileSync(built));
  return buildProgram(dirname(floors));
}

/** root: a checkout with its packages installed. entry: path of the module that runs first, from there. */
export function buildProgram(root: string, entry: string = ENTRY): Uint8Array<ArrayBuffer> {
  const modules = new Map<string, string>();
  const parts = new Set<string>();
  const pending = [entry];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (modules.has(path)) continue;
    const source = readFileSync(locate(root, path), "utf8");
    const script = path.endsWith(".ts") ? blankTypes(source) : source;
    modules.set(path, script);
    for (const [, early, late] of script.matchAll(IMPORT)) {
      const specifier = early ?? late!;
      if (specifier.startsWith("node:")) parts.add(specifier);
      else pending.push(specifier === PACKAGE ? PACKAGE_ENTRY : posix.join(posix.dirname(path), specifier));
    }
  }
  return new TextEncoder().encode(writeProgram(entry, modules, parts));
}

/** Without Node's note, once a process, that this function is young: who starts a server can do nothing about it. */
function blankTypes(source: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** A package may lie beside this one instead of in it. */
function locate(root: string, path: string): string {
  if (!path.startsWith("node_modules/")) return join(root, path);
  for (let folder = root; ; folder = dirname(folder)) {
    if (existsSync(join(folder, path))) return join(folder, path);
    if (folder === dirname(folder)) throw new QflareError("enclave.unavailable", `${PACKAGE} is not installed`);
  }
}

const LOADER = `
function resolve(specifier, { parentURL }) {
  if (PARTS.includes(specifier)) return { url: specifier, format: "builtin", shortCircuit: true };
  const url = specifier in PACKAGES ? SCHEME + PACKAGES[specifier] : new URL(specifier, parentURL).href;
  if (!url.startsWith(SCHEME) || !(url.slice(SCHEME.length) in MODULES)) {
    throw new Error(\`Cannot import \${specifier}: it is not part of the enclave\`);
  }
  return { url, format: "module", shortCircuit: true };
}

function load(url, context, next) {
  if (!url.startsWith(SCHEME)) return next(url, context);
  return { format: "module", source: MODULES[url.slice(SCHEME.length)], shortCircuit: true };
}

registerHooks({ resolve, load });
await import(SCHEME + ENTRY);
`;

function writeProgram(entry: string, modules: ReadonlyMap<string, string>, parts: ReadonlySet<string>): string {
  const names = [...modules.keys()].sort();
  return `// The enclave of QFLARE in one file, made from its sources by scripts/bundle.ts. Not to be edited.
import { registerHooks } from "node:module";

const MODULES = {
  __proto__: null,
${names.map((name) => `  ${JSON.stringify(name)}: ${JSON.stringify(modules.get(name))},\n`).join("")}};
const PARTS = ${JSON.stringify([...parts].sort())};
const PACKAGES = { __proto__: null, ${PACKAGE}: ${JSON.stringify(PACKAGE_ENTRY)} };
const ENTRY = ${JSON.stringify(entry)};
const SCHEME = "enclave:/";
${LOADER}`;
}

// The repository as the checks see it: every file with its text, every source file parsed.

import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { type Import, type Module, parseModule } from "./module.ts";

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

export interface House {
  /** Path from the root, with slashes, to text; "" for what is not text. */
  readonly files: ReadonlyMap<string, string>;
  /** TypeScript alone. */
  readonly modules: ReadonlyMap<string, Module>;
}

export type Check = (house: House) => Finding[];

/** Installed, made or local. */
const NOT_OURS = /(?:^|\/)(?:node_modules|\.git|\.qflare)$|^(?:dist|bench\/results|src\/[^/]+\/wasm)$/;
const TEXT = /\.(?:ts|tsx|js|mjs|json|md|yml|yaml|toml|css|html|sh|conf|service)$|(?:^|\/)(?:\.ci\/run|Dockerfile)$/;

export function buildHouse(files: ReadonlyMap<string, string>): House {
  const sources = [...files].filter(([path]) => /\.tsx?$/.test(path));
  return { files, modules: new Map(sources.map(([path, text]) => [path, parseModule(text)])) };
}

export function readHouse(root: string): House {
  const files = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (NOT_OURS.test(path)) continue;
      if (entry.isDirectory()) walk(path);
      else files.set(path, isText(path) ? readFileSync(join(root, path), "utf8") : "");
    }
  };
  walk("");
  return buildHouse(files);
}

function isText(path: string): boolean {
  return TEXT.test(path) && !isData(path);
}

export function isData(path: string): boolean {
  return /^(?:data|test\/vectors\/data)\//.test(path);
}

/** "src/core/bytes.ts" -> "core"; undefined outside src. */
export function floorOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

export function sourcesOf(house: House): [string, Module][] {
  return [...house.modules].filter(([path]) => path.startsWith("src/"));
}

/** Path of what a relative import names; undefined for a package. */
export function resolve(path: string, { specifier }: Import): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : undefined;
}

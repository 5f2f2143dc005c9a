// Who needs whom: circles, files that no program reaches, names that nobody imports.

import { type Check, floorOf, type House, resolve, sourcesOf } from "./house.ts";
import { PROGRAMS, TWINS } from "./rules.ts";

interface Edge {
  readonly to: string;
  readonly line: number;
}

type Graph = ReadonlyMap<string, readonly Edge[]>;

/** A kernel's module is built from its AssemblyScript source, which stands for it. */
function sourceOf(target: string): string {
  return target.replace(/^src\/([^/]+)\/wasm\//, "kernels/$1/");
}

function edgesOf(house: House, path: string): Edge[] {
  const imports = house.modules.get(path)?.imports ?? [];
  return imports.flatMap((entry) => {
    const target = resolve(path, entry);
    return target === undefined ? [] : [{ to: sourceOf(target), line: entry.line }];
  });
}

function graphOf(house: House): Graph {
  return new Map([...house.modules.keys()].map((path) => [path, edgesOf(house, path)]));
}

/** Reports each import that closes a circle, types included: a circle of types is a file cut in the wrong place. */
export const checkCircles: Check = (house) => {
  const graph = graphOf(house);
  return sourcesOf(house).flatMap(([path]) =>
    (graph.get(path) ?? []).flatMap(({ to, line }) => {
      const way = wayBetween(graph, to, path);
      // Told once, by the first of the circle's files.
      if (way === undefined || way.some((step) => step < path)) return [];
      return [{ path, line, text: `circle: ${[path, ...way].join(" -> ")}` }];
    }),
  );
};

/** Shortest chain of imports, both ends included. */
function wayBetween(graph: Graph, from: string, to: string): string[] | undefined {
  const ways = new Map([[from, [from]]]);
  for (const [path, way] of ways) {
    if (path === to) return way;
    for (const edge of graph.get(path) ?? []) if (!ways.has(edge.to)) ways.set(edge.to, [...way, edge.to]);
  }
  return undefined;
}

export const checkEntries: Check = (house) =>
  publicEntries(house)
    .filter((path) => !house.files.has(path))
    .map((path) => ({ path: "package.json", line: 1, text: `exports name a file that has no source ${path}` }));

function publicEntries(house: House): string[] {
  const manifest = house.files.get("package.json") ?? "{}";
  const targets = [...manifest.matchAll(/"\.\/dist\/([^"]+)\.js"/g)].map((match) => match[1]!);
  return [...new Set(targets.map((target) => `src/${target}.ts`))];
}

export const checkDeadFiles: Check = (house) => {
  const entries = publicEntries(house);
  const alive = new Set([...house.modules.keys()].filter((path) => entries.includes(path) || isProgram(path)));
  for (const path of alive) for (const edge of edgesOf(house, path)) alive.add(edge.to);
  return [...house.modules.keys()]
    .filter((path) => isOurs(path) && !alive.has(path) && !isExempt(path))
    .map((path) => ({ path, line: 1, text: "dead file: no public entry and no program reaches it" }));
};

function isProgram(path: string): boolean {
  return PROGRAMS.some((pattern) => pattern.test(path));
}

/** A kernel whose name begins with an underscore is part of others. */
function isOurs(path: string): boolean {
  return floorOf(path) !== undefined || /^kernels\/(?:.*\/)?[^_/][^/]*$/.test(path);
}

function isExempt(path: string): boolean {
  return path.endsWith(".d.ts") || TWINS.test(path);
}

export const checkDeadExports: Check = (house) => {
  const used = usedNames(house);
  const entries = publicEntries(house);
  return sourcesOf(house)
    .filter(([path]) => !entries.includes(path) && !isProgram(path) && !path.endsWith(".d.ts"))
    .flatMap(([path, module]) =>
      module.exports
        // The compiler must be able to name the types of exported values in declarations.
        .filter(({ name, isType }) => !isType && !used.get(path)?.has(name))
        .map(({ name, line }) => ({ path, line, text: `dead export: nobody imports ${name}` })),
    );
};

/** For each file the names that other files import from it. */
function usedNames(house: House): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>();
  for (const [path, module] of house.modules) {
    for (const entry of module.imports) {
      const target = resolve(path, entry);
      if (target === undefined || target === path) continue;
      const names = used.get(target) ?? new Set();
      used.set(target, names);
      // Whoever holds a namespace uses the members that it names anywhere.
      const found = entry.names === "*" ? module.tokens.map((token) => token.text) : entry.names;
      for (const name of found) names.add(name);
    }
  }
  return used;
}

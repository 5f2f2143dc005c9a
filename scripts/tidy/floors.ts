// Floors: who may import whom, and that the compiler is told the same.

import { type Check, type Finding, floorOf, type House, resolve, sourcesOf } from "./house.ts";
import type { Import } from "./module.ts";
import { FLOORS, ROLES, TYPES_ONLY } from "./rules.ts";

export const checkFloors: Check = (house) =>
  sourcesOf(house).flatMap(([path, module]) =>
    module.imports.flatMap((entry) => {
      const text = wrongImport(path, entry);
      return text === undefined ? [] : [{ path, line: entry.line, text }];
    }),
  );

function wrongImport(path: string, entry: Import): string | undefined {
  const target = resolve(path, entry);
  if (target === undefined) return undefined;
  const from = floorOf(path) ?? "";
  const to = floorOf(target);
  if (to === undefined) return `imports ${target}, which is outside src`;
  if (target === `src/${to}/index.ts`)
    return `imports ${target}, an entry for users; import the file that has the name`;
  if (from === to) return undefined;
  if (ROLES.includes(from) && ROLES.includes(to)) return `${from} imports ${to}: between roles only bytes travel`;
  if (!FLOORS[from]?.includes(to)) return `${from} imports ${to}, which is not a lower floor of it`;
  if (TYPES_ONLY.includes(from) && !entry.isTypeOnly) return `${from} imports more than types of ${to}`;
  return undefined;
}

export const checkReferences: Check = (house) => {
  const floors = new Set([...house.files.keys()].map(floorOf).filter((floor) => floor !== undefined));
  return [...floors].flatMap((floor) => wrongReferences(house, floors, floor));
};

/** A floor of the table that has no folder yet is not referred to. */
function wrongReferences(house: House, floors: ReadonlySet<string>, floor: string): Finding[] {
  const path = `src/${floor}/tsconfig.json`;
  const wanted = FLOORS[floor]?.filter((lower) => floors.has(lower));
  if (wanted === undefined)
    return [{ path, line: 1, text: `floor ${floor} is not in the table of scripts/tidy/rules.ts` }];
  const text = house.files.get(path);
  if (text === undefined) return [{ path, line: 1, text: "expected a tsconfig.json for each floor, found none" }];
  const found = referencesIn(text).map((reference) => reference.replace("../", ""));
  const findings: Finding[] = [];
  if (found.toSorted().join() !== wanted.toSorted().join()) {
    findings.push({
      path,
      line: 1,
      text: `references: expected ${wanted.join(", ") || "none"}, got ${found.join(", ")}`,
    });
  }
  if (!referencesIn(house.files.get("tsconfig.json") ?? "{}").includes(`src/${floor}`)) {
    findings.push({
      path: "tsconfig.json",
      line: 1,
      text: `references: src/${floor} is missing, so nothing compiles it`,
    });
  }
  return findings;
}

function referencesIn(text: string): string[] {
  const config: { references?: { path: string }[] } = JSON.parse(text);
  return (config.references ?? []).map((reference) => reference.path);
}
